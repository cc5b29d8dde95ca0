"""A tiny random encoder and clips, shared by the tests of detection."""

import numpy as np
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
        padding_rule="fold",
    )
    return BeatsModel(config).eval()


@pytest.fixture(scope="session")
def feature_extractor():
    return BeatsFeatureExtractor(padding_rule="fold")


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_model, feature_extractor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny-encoder")
    tiny_model.save_pretrained(folder)
    feature_extractor.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def clips():
    """Eight references and four tests of half a second: noise through different low-passes."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.1, (12, 8000))
    for row, width in enumerate(range(1, 13)):
        noise[row] = np.convolve(noise[row], np.ones(width) / width, mode="same")
    order = generator.permutation(12)
    return noise[order].astype(np.float32)


@pytest.fixture(scope="session")
def references(clips):
    return clips[:8]


@pytest.fixture(scope="session")
def tests(clips):
    return clips[8:]
