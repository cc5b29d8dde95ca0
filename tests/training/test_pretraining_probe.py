"""The probe's scores are those of the benchmark, at the level of the feature extractor."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_pretraining import ENCODER

from modeling_retainmix.data.benchmark import KINDS, build_benchmark
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.evaluation.score_encoders import NamedEncoder, log_mel_statistics, score_encoders
from modeling_retainmix.training.pretraining_probe import (
    BACKENDS,
    LayerProbe,
    best_layer,
    probe_protocol,
)

SECONDS = 0.5


@pytest.fixture(scope="module")
def benchmark():
    generator = np.random.default_rng(0)
    time = np.arange(round(SECONDS * 16000)) / 16000
    cells = [("train", "source", "normal", 8), ("train", "target", "normal", 4)]
    cells += [("test", domain, label, 4) for domain in ("source", "target") for label in ("normal", "anomaly")]

    def clip(domain, label):
        tone = np.sin(2 * np.pi * (700 + 200 * (domain == "target")) * time)
        fault = 0.4 * (label == "anomaly") * np.sin(2 * np.pi * 3100 * time)
        return (2000 * (tone + fault) + 300 * generator.standard_normal(len(time))).astype(np.int16)

    clean = [
        {"audio": clip(domain, label), "machine_type": machine, "split": split, "domain": domain, "label": label}
        for machine in ("fan", "pump")
        for split, domain, label, count in cells
        for _ in range(count)
    ]
    noise = [{"audio": generator.integers(-900, 900, len(time)).astype(np.int16), "kind": k} for k in KINDS * 28]
    return build_benchmark(Dataset.from_list(clean), Dataset.from_list(noise), probe_protocol("small", SECONDS, 0.0))


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return BeatsModel(BeatsConfig(**ENCODER, layerdrop=0.0)).eval()


def test_scores_are_those_of_the_benchmark_for_every_layer_and_backend(benchmark, encoder):
    protocol, extractor = probe_protocol("small", SECONDS, 0.0), BeatsFeatureExtractor()
    scores = LayerProbe(benchmark, protocol, batch_size=16)(encoder, extractor)
    assert len(scores) == 8
    for backend, settings in BACKENDS.items():
        named = NamedEncoder("one", encoder, extractor, (0, 1, 2))
        both = [named, log_mel_statistics(extractor)]
        results = score_encoders(benchmark, protocol, both, settings=settings, show_progress=False)
        for layer in range(3):
            expected = 100 * results["one", layer].hmean_all
            assert scores[f"probe_{backend}_layer_{layer}"] == pytest.approx(expected, abs=1e-9)
        expected = 100 * results["log_mel_statistics", 0].hmean_all
        assert scores[f"probe_{backend}_log_mel_statistics"] == pytest.approx(expected, abs=1e-9)


def test_when_probed_then_the_encoder_stays_as_it_is(benchmark, encoder):
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    state = torch.get_rng_state()
    LayerProbe(benchmark, probe_protocol("small", SECONDS, 0.0))(encoder, BeatsFeatureExtractor())
    assert all(torch.equal(values, before[name]) for name, values in encoder.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_best_layer_is_that_of_the_backend_and_never_the_input():
    scores = {f"probe_knn_layer_{k}": score for k, score in enumerate([90.0, 60.0, 70.0, 65.0])}
    scores |= {f"probe_mahalanobis_layer_{k}": score for k, score in enumerate([90.0, 80.0, 70.0, 65.0])}
    assert best_layer(scores, "knn") == (2, 70.0)
    assert best_layer(scores, "mahalanobis") == (1, 80.0)


def test_protocol_has_one_snr_and_the_length_of_the_training():
    protocol = probe_protocol("small", 2.0, -5.0)
    assert (protocol.snr_db, protocol.low_snr_db, protocol.clip_seconds) == ((-5.0,), (-5.0,), 2.0)
