"""A benchmark small enough to score in milliseconds: two machine types of 0.5 s clips at 100 Hz."""

import numpy as np
import pytest
from datasets import Dataset
from results_of_a_run import results  # noqa: F401
from tiny_encoders import benchmark  # noqa: F401

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, build_benchmark


@pytest.fixture(scope="session")
def tiny_protocol():
    return BenchmarkProtocol("tiny", 6, 3, 4, (-10, 0), (-10,), clip_seconds=0.5)


@pytest.fixture(scope="session")
def tiny_benchmark(tiny_protocol):
    generator = np.random.default_rng(0)
    cells = [("train", "source", "normal", 6), ("train", "target", "normal", 3)]
    cells += [("test", domain, label, 4) for domain in ("source", "target") for label in ("normal", "anomaly")]
    time = np.arange(50) / 100
    clean = [
        {
            # anomalies carry a second tone; targets turn faster
            "audio": (
                2000 * np.sin(2 * np.pi * (7 + 2 * (domain == "target")) * time)
                + 1500 * (label == "anomaly") * np.sin(2 * np.pi * 31 * time)
                + 200 * generator.standard_normal(50)
            ).astype(np.int16),
            "machine_type": machine_type,
            "split": split,
            "domain": domain,
            "label": label,
        }
        for machine_type in ("fan", "pump")
        for split, domain, label, count in cells
        for _ in range(count)
    ]
    noise = [
        {"audio": generator.integers(-900, 900, 50).astype(np.int16), "kind": kind}
        for kind in KINDS
        for _ in range(25)
    ]
    return build_benchmark(Dataset.from_list(clean), Dataset.from_list(noise), tiny_protocol, sampling_rate=100)
