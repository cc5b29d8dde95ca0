"""The demo's folder on the path, as `python app.py` has it, and a tiny random encoder for it."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from modeling_retainmix import BeatsConfig, BeatsFeatureExtractor, BeatsModel

DEMO = Path(__file__).parents[2] / "hub_cards" / "anomaly-demo"
sys.path.insert(0, str(DEMO))

RATE = 16_000


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


def draw_clip(seed: int, tone: bool = False, burst: bool = False) -> np.ndarray:
    """Draw 2 s of noise; a tone at 1 kHz lasts throughout, a burst at 3 kHz from 1.0 to 1.3 s."""
    time = np.arange(2 * RATE) / RATE
    clip = 0.01 * np.random.default_rng(seed).standard_normal(len(time))
    clip += tone * 0.02 * np.sin(2 * np.pi * 1000 * time)
    clip += burst * ((time >= 1) & (time < 1.3)) * 0.05 * np.sin(2 * np.pi * 3000 * time)
    return clip


@pytest.fixture(scope="session")
def machine(tmp_path_factory) -> dict[str, Path]:
    """Files of a machine: `reference_00` to `reference_11`, `normal`, `faulty` (a tone and a burst)."""
    folder = tmp_path_factory.mktemp("machine")
    clips = {f"reference_{seed:02d}": draw_clip(seed) for seed in range(12)}
    clips |= {"normal": draw_clip(100), "faulty": draw_clip(101, tone=True, burst=True)}
    for name, clip in clips.items():
        soundfile.write(folder / f"{name}.wav", clip, RATE)
    return {name: folder / f"{name}.wav" for name in clips}


@pytest.fixture(scope="session")
def references(machine) -> list[str]:
    return [str(path) for name, path in machine.items() if name.startswith("reference")]
