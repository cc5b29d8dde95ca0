"""A tiny random encoder, shared by the tests of detection."""

import pytest
import torch

from modeling_retainmix import BeatsConfig, BeatsFeatureExtractor, BeatsModel


@pytest.fixture(scope="session")
def tiny_model():
    torch.manual_seed(0)
    config = BeatsConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        patch_embed_size=16,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        embedding_layer=2,
    )
    return BeatsModel(config).eval()


@pytest.fixture(scope="session")
def feature_extractor():
    return BeatsFeatureExtractor()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_model, feature_extractor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-encoder")
    tiny_model.save_pretrained(folder)
    feature_extractor.save_pretrained(folder)
    return str(folder)
