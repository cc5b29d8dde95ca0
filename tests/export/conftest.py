"""Ten clips of different lengths, references of two domains, and encoders with random weights."""

import numpy as np
import pytest
import torch

from modeling_retainmix import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.encoders import EatConfig, EatFeatureExtractor, EatModel

# From two frames, which BEATs repeats, to four windows.
LENGTHS = (600, 2800, 3199, 3200, 8001, 16_000, 24_123, 70_001, 163_201, 330_000)


def hum(generator, samples):
    """Noise through a random low-pass, and a tone."""
    width = int(generator.integers(1, 12))
    noise = np.convolve(generator.normal(0, 0.1, samples), np.ones(width) / width, mode="same")
    return (noise + 0.1 * np.sin(generator.uniform(0.1, 1) * np.arange(samples))).astype(np.float32)


@pytest.fixture(scope="session")
def references():
    generator = np.random.default_rng(1)
    return [hum(generator, 16_000) for _ in range(9)]


@pytest.fixture(scope="session")
def clips():
    generator = np.random.default_rng(2)
    return [hum(generator, samples) for samples in LENGTHS]


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """{name: folder or name}."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    beats, eat = (tmp_path_factory.mktemp(name) for name in ("beats", "eat"))
    BeatsModel(BeatsConfig(**sizes, patch_embed_size=16, num_conv_pos_embeddings=16)).save_pretrained(beats)
    BeatsFeatureExtractor(clip_level=-0.15).save_pretrained(beats)
    EatModel(EatConfig(**sizes)).save_pretrained(eat)
    EatFeatureExtractor().save_pretrained(eat)
    return {"log-mel": "log-mel", "beats": beats, "eat": eat}
