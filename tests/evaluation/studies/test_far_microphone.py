"""The sweep over the leakage of the machine against a plain loop, and its command."""

import csv

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score
from tiny_factory import factory_arguments, factory_folders  # noqa: F401

from modeling_retainmix.data.benchmark import KINDS, BenchmarkProtocol, build_benchmark
from modeling_retainmix.data.far_microphone import far_channel
from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.embeddings import embed_mixtures
from modeling_retainmix.evaluation.studies.far_microphone import embed_sweep, main, sweep_records, sweep_table

PROTOCOL = BenchmarkProtocol("tiny", 6, 3, 4, (-10, 0), (-10,), clip_seconds=0.1)


def spectrum(waveforms):
    spectra = torch.fft.rfft(waveforms).abs()
    return {3: spectra[:, :24], "log-mel": spectra[:, 5:30].log()}


@pytest.fixture(scope="module")
def machine():
    """One machine type of 0.1 s clips at 16 kHz, which hold three frames of the cancellation."""
    generator = np.random.default_rng(0)
    cells = [("train", "source", "normal", 6), ("train", "target", "normal", 3)]
    cells += [("test", domain, label, 4) for domain in ("source", "target") for label in ("normal", "anomaly")]
    clean = [
        {
            "audio": generator.normal(0, 900 + 300 * (label == "anomaly"), 1600).astype(np.int16),
            "machine_type": "fan",
            "split": split,
            "domain": domain,
            "label": label,
        }
        for split, domain, label, count in cells
        for _ in range(count)
    ]
    noise = [
        {"audio": generator.normal(0, 500, 1600).astype(np.int16), "kind": kind} for kind in KINDS for _ in range(25)
    ]
    (built,) = build_benchmark(Dataset.from_list(clean), Dataset.from_list(noise), PROTOCOL)
    return built


def test_every_system_embeds_what_its_microphones_hear(machine):
    systems = embed_sweep(machine, PROTOCOL, spectrum, [-20, 0], far_only_db=-3, seed=5, batch_size=4)
    assert set(systems) == {("near", None)} | {(name, leak) for name in ("cancel", "residual") for leak in (-20, 0)}
    ((_, clean, noise),) = machine.batches("non_stationary", 1000)
    ((_, _, other),) = machine.batches("stationary", 1000)
    heard = machine.gain("non_stationary", -10) * noise
    near, cell = clean + heard, ("non_stationary", -10)
    for view, mixtures in embed_mixtures(machine, PROTOCOL, spectrum).items():
        assert set(systems["near", None][view]) == set(mixtures)
        for key, vectors in mixtures.items():
            torch.testing.assert_close(systems["near", None][view][key], vectors)
        for leak_db in (-20, 0):
            far = far_channel(clean, heard, machine.clean_rows, 5, leak_db, other, -3)
            both = torch.cat([spectrum(near)[view], spectrum(far)[view]], dim=1)
            torch.testing.assert_close(systems["residual", leak_db][view][cell], both)
            residual = np.stack([cancel_far(*pair) for pair in zip(near.numpy(), far.numpy(), strict=True)])
            expected = spectrum(torch.from_numpy(residual))[view]
            torch.testing.assert_close(systems["cancel", leak_db][view][cell], expected)


def mahalanobis(queries, references, shrinkage=0.1):
    covariance = np.cov(references.T, bias=True)
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * sphere)
    centred = queries - references.mean(axis=0)
    return np.sqrt(np.einsum("nd,de,ne->n", centred, inverse, centred))


def naive_official(machine, references, tests):
    """Mahalanobis distances, standardized domain by domain by references left out one by one."""
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


def test_records_hold_the_mean_score_of_each_system_representation_and_backend(machine):
    systems, is_test = embed_sweep(machine, PROTOCOL, spectrum, [-10.0]), ~machine.is_reference
    records = list(sweep_records(machine, PROTOCOL, systems, dict.fromkeys((3, "log-mel"), VectorLayout()), 0.6))
    assert len(records) == 3 * 2 * 2
    assert {record["representation"] for record in records} == {"layer 3", "log-mel"}
    found = {
        (record["microphones"], record["leak_db"]): record
        for record in records
        if (record["backend"], record["representation"]) == ("mahalanobis", "layer 3")
    }
    assert set(found) == {("near", ""), ("cancel", "-10"), ("residual", "-10")}
    for (microphones, _), record in found.items():
        cells = systems[microphones, None if microphones == "near" else -10.0][3]
        values = {key: tensor.double().numpy() for key, tensor in cells.items()}
        if microphones == "residual":
            values = {key: near_far[:, :24] - 0.6 * near_far[:, 24:] for key, near_far in values.items()}
        expected = [
            naive_official(machine, values[of_references, snr][machine.is_reference], values[of_tests, snr][is_test])
            for of_references, of_tests in (KINDS[:1] * 2, KINDS[1:] * 2, KINDS[::-1])
            for snr in PROTOCOL.snr_db
        ]
        assert record["official_score"] == pytest.approx(100 * hmean(expected), abs=1e-6)


def test_table_shows_means_and_what_the_far_microphone_adds():
    scores = {("near", ""): [60, 50], ("cancel", "-20"): [66, 58], ("cancel", "0"): [60.98, 48.98]}
    records = [
        {"representation": "log-mel", "backend": "knn", "microphones": name, "leak_db": leak, "official_score": score}
        for (name, leak), values in scores.items()
        for score in values
    ]
    assert sweep_table(records, [-20.0, 0.0]).splitlines() == [
        "| Representation | Backend | Microphones | Leak -20 dB | Leak 0 dB |",
        "|---|---|---|---:|---:|",
        "| log-mel | knn | near | 55.0 ± 7.1 | 55.0 ± 7.1 |",
        "| log-mel | knn | cancel | 62.0 (+7.0 ± 1.4) | 55.0 (+0.0 ± 1.4) |",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3", "4"])
def test_command_prints_the_sweep_and_writes_its_rows(factory_arguments, capsys, tmp_path, version):  # noqa: F811
    options = ["--layer", "1", "--leak_db", "-20", "0", "--factory_version", version, "--seed", "0", "1"]
    main([*factory_arguments, *options, "--far_only_db=-inf", "--output", str(tmp_path / "sweep.csv")])
    printed = capsys.readouterr().out.splitlines()
    assert f"Validation machines of the procedural factory (version {version}, seeds 0, 1)" in printed[0]
    rows = [line.split(" | ")[:3] for line in printed[4:]]
    assert len(rows) == 2 * 2 * 3
    assert rows[:2] == [["| layer 1", "mahalanobis", "near"], ["| layer 1", "mahalanobis", "cancel"]]
    with open(tmp_path / "sweep.csv", encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    machine_types = {row["machine_type"] for row in written}
    assert len(written) == 2 * len(machine_types) * 2 * 2 * (1 + 2 * 2)
    assert {row["far_only_db"] for row in written} == {"-inf"}
