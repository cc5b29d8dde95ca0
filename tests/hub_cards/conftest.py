"""The demo's folder on the path, as `python app.py` has it, and a tiny random encoder for it."""

import sys
from pathlib import Path

import pytest
import torch

from modeling_retainmix import BeatsConfig, BeatsFeatureExtractor, BeatsModel

DEMO = Path(__file__).parents[2] / "hub_cards" / "anomaly-demo"
sys.path.insert(0, str(DEMO))


@pytest.fixture(scope="session")
def demo_folder() -> Path:
    return DEMO


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    config = BeatsConfig(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        patch_embed_size=16,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=4,
        embedding_layer=1,
    )
    folder = tmp_path_factory.mktemp("tiny-encoder")
    BeatsModel(config).save_pretrained(folder)
    BeatsFeatureExtractor().save_pretrained(folder)
    return folder
