"""One machine type of clips that an encoder can read, and encoders with random weights, scored in a second."""

import numpy as np
import pytest
from datasets import Dataset
from transformers import set_seed

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, build_benchmark
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.evaluation.score_encoders import NamedEncoder

PROTOCOL = BenchmarkProtocol("tiny", 4, 2, 2, (-10, 0), (-10,), clip_seconds=0.4)


@pytest.fixture(scope="module")
def benchmark():
    generator = np.random.default_rng(0)
    cells = [("train", "source", "normal", 4), ("train", "target", "normal", 2)]
    cells += [("test", domain, label, 2) for domain in ("source", "target") for label in ("normal", "anomaly")]
    clean = [
        {
            "audio": generator.integers(-2000, 2000, 6400).astype(np.int16),
            "machine_type": "fan",
            "split": split,
            "domain": domain,
            "label": label,
        }
        for split, domain, label, count in cells
        for _ in range(count)
    ]
    noise = [
        {"audio": generator.integers(-900, 900, 6400).astype(np.int16), "kind": kind}
        for kind in KINDS
        for _ in range(14)
    ]
    return build_benchmark(Dataset.from_list(clean), Dataset.from_list(noise), PROTOCOL)


def make_encoder(name, seed, layers=(1, 2)):
    set_seed(seed)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, patch_embed_size=8
    )
    return NamedEncoder(name, BeatsModel(config).eval(), BeatsFeatureExtractor(), layers)
