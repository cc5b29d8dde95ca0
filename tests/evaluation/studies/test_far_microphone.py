"""The table of two microphones against a plain loop, and its command."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score
from tiny_factory import factory_arguments, factory_folders  # noqa: F401

from modeling_retainmix.data.far_microphone import far_channel
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.studies.far_microphone import embed_both_microphones, far_channel_rows, main


def spectrum(waveforms):
    return {3: torch.fft.rfft(waveforms).abs()[:, :24]}


def test_second_microphone_lies_behind_the_mixture(tiny_benchmark, tiny_protocol):
    machine = tiny_benchmark[1]
    both = embed_both_microphones(machine, tiny_protocol, spectrum, seed=5, batch_size=4)
    mixtures = embed_mixtures(machine, tiny_protocol, spectrum)[3]
    (whole,) = list(machine.batches("non_stationary", 1000))
    _, clean, noise = whole
    heard = machine.gain("non_stationary", -10) * noise
    far = far_channel(clean, heard, machine.clean_rows, seed=5)
    for view, second in (("far channel", far), ("known noise", heard)):
        for key, near in mixtures.items():
            torch.testing.assert_close(both[view][key][:, :24], near)
            torch.testing.assert_close(both["near"][key], near)
        torch.testing.assert_close(both[view]["non_stationary", -10][:, 24:], spectrum(second)[3])


def mahalanobis(queries, references, shrinkage=0.1):
    covariance = np.cov(references.T, bias=True)
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * sphere)
    centred = queries - references.mean(axis=0)
    return np.sqrt(np.einsum("nd,de,ne->n", centred, inverse, centred))


def naive_official(machine, cells, far_weight):
    """Mismatch at -10 dB: Mahalanobis distances of residuals, standardised domain by domain."""
    near, far = np.split(cells["non_stationary", -10].double().numpy()[machine.is_reference], 2, axis=1)
    references = near - far_weight * far
    near, far = np.split(cells["stationary", -10].double().numpy()[~machine.is_reference], 2, axis=1)
    tests = near - far_weight * far
    columns = []
    for is_target_domain in (False, True):
        own = references[machine.is_target_domain[machine.is_reference] == is_target_domain]
        left_out = np.concatenate(
            [mahalanobis(own[row : row + 1], np.delete(own, row, axis=0)) for row in range(len(own))]
        )
        columns.append((mahalanobis(tests, own) - left_out.mean()) / left_out.std())
    scores = np.min(columns, axis=0)
    anomaly, target = machine.is_anomaly[~machine.is_reference], machine.is_target_domain[~machine.is_reference]
    source_part, target_part = ~target | anomaly, target | anomaly
    return hmean(
        [
            roc_auc_score(anomaly[source_part], scores[source_part]),
            roc_auc_score(anomaly[target_part], scores[target_part]),
            roc_auc_score(anomaly, scores, max_fpr=0.1),
        ]
    )


def test_rows_are_those_of_the_residuals(tiny_benchmark, tiny_protocol):
    embedder = SimpleNamespace(embed=spectrum, indices=[3], layout=VectorLayout())
    rows = {row["name"]: row for row in far_channel_rows(tiny_benchmark, tiny_protocol, embedder, [0.2, 0.6])}
    views = [f"{view}, {second}" for second in ("far channel", "known noise") for view in ("residual", "fusion")]
    assert set(rows) == {"near", *(f"{view}, a = {weight}" for view in views for weight in (0.2, 0.6))}
    for machine in tiny_benchmark:
        both = embed_both_microphones(machine, tiny_protocol, spectrum)
        for name, microphone, weight in (
            ("near", "far channel", 0.0),
            ("residual, far channel, a = 0.6", "far channel", 0.6),
            ("residual, known noise, a = 0.2", "known noise", 0.2),
        ):
            found = rows[name]["per_machine"]["Mismatch"]["-10"][machine.machine_type]["official_score"]
            assert found == pytest.approx(100 * naive_official(machine, both[microphone], weight), abs=1e-6)


@pytest.mark.slow
def test_command_prints_near_and_both_views_of_each_second_microphone(factory_arguments, capsys):  # noqa: F811
    main([*factory_arguments, "--layer", "1", "--far_weight", "0.3", "0.7"])
    printed = capsys.readouterr().out.splitlines()
    assert "Validation machines" in printed[0]
    names = [line.split(" | ")[0].removeprefix("| ") for line in printed[4:]]
    assert names[:3] == ["near", "residual, far channel, a = 0.3", "fusion, far channel, a = 0.3"]
    assert names[-1] == "fusion, known noise, a = 0.7"
    assert len(names) == 9
