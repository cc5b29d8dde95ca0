"""The study of detectors: its cells, counts of references, representations, and the rows it writes."""

import csv

import numpy as np
import pytest
import soundfile as sf
import torch
from tiny_factory import TINY_PROTOCOL, factory_folders  # noqa: F401

from modeling_retainmix import AnomalyDetector, BeatsFeatureExtractor
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.vector_layout import LEVEL, LOG_MEL, VectorLayout
from modeling_retainmix.evaluation.studies import detector_choice
from modeling_retainmix.evaluation.studies.detector_choice import (
    BACKENDS,
    LOG_MEL_MEAN,
    Cell,
    Representation,
    load_choice_encoder,
    main,
    pseudo_auc,
    score_cell,
)
from modeling_retainmix.metrics.dcase_score import dcase_score

GENERATOR = torch.Generator().manual_seed(0)
PLAIN = Representation("plain", (0,), VectorLayout(num_bands=2))


def cell(group="fan", condition="clean", key=(0, 0)):
    references, tests = torch.randn(20, 6, generator=GENERATOR), torch.randn(40, 6, generator=GENERATOR)
    anomaly = np.arange(40) % 2 == 1
    tests[anomaly] += 1
    domains = (np.arange(20) >= 14, np.arange(40) >= 20)
    return Cell(group, "draw 0", condition, {0: references}, {0: tests}, *domains, anomaly, key)


def test_scores_are_official_scores_of_the_chosen_references(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        detector_choice,
        "DomainScores",
        lambda settings, references, *rest: sizes.append(len(references)) or DomainScores(settings, references, *rest),
    )
    one = cell()
    rows = score_cell(one, [PLAIN])
    assert sizes == [size for size in (20, 10, 6) for _ in BACKENDS] and len(rows) == len(sizes)
    targets = torch.from_numpy(one.reference_is_target)
    scores = DomainScores(BACKENDS["whitened"], one.references[0], torch.arange(20), targets).scores(one.tests[0])
    domains = np.where(one.test_is_target, "target", "source").tolist()
    expected = dcase_score(scores, one.test_is_anomaly.astype(int), domains, ["fan"] * 40)["official_score"]
    (row,) = [row for row in rows if row["references"] == "all" and row["backend"] == "whitened"]
    assert row["official_score"] == pytest.approx(100 * expected, abs=1e-3)
    assert all((row["pseudo_auc"] != "") == (row["references"] == "all") for row in rows)


def test_clean_clips_with_all_references_are_scored_in_the_first_draw_only():
    assert {row["references"] for row in score_cell(cell(key=(3, 0)), [PLAIN])} == {"few", "very few"}
    assert len(score_cell(cell(condition="0 dB", key=(3, 1)), [PLAIN])) == 3 * len(BACKENDS)


def test_pseudo_anomalies_are_told_apart_where_bands_belong_together():
    state = torch.randn(200, 1, generator=GENERATOR).sign() * 5
    together = torch.cat([state, state], dim=1) + 0.1 * torch.randn(200, 2, generator=GENERATOR)
    apart = torch.randn(200, 2, generator=GENERATOR)
    layout, rows = VectorLayout(num_bands=2), torch.arange(200)
    found = [
        pseudo_auc(DomainScores(BACKENDS["knn"], vectors, rows, rows < 0), vectors, layout, (0,))
        for vectors in (together, apart)
    ]
    assert found[0] > 0.6 and found[1] == pytest.approx(0.5, abs=0.1)  # half of the exchanges change nothing


def test_log_mel_mean_and_statistics_as_recorded_are_those_of_the_features(factory_folders):  # noqa: F811
    encoder = load_choice_encoder(str(factory_folders[0]), "cpu", with_log_mel=True)
    names = [representation.name for representation in encoder.representations]
    assert names[0] == LOG_MEL_MEAN and len(set(names)) == len(names)
    waveforms = 0.1 * torch.randn(2, 16000, generator=GENERATOR)
    vectors = encoder.representations[0].vectors(encoder.embedder.embed(waveforms))
    features = BeatsFeatureExtractor().log_mel(waveforms)[:, :96]
    torch.testing.assert_close(vectors, features.mean(dim=1), rtol=0, atol=0.02)  # the level is that of all frames
    assert encoder.representations[2].layers == (LOG_MEL,) and encoder.representations[3].layers == (LOG_MEL, LEVEL)
    as_recorded = AnomalyDetector.from_pretrained("log-mel", device="cpu").embedder.embed(waveforms)[0]
    vectors = encoder.representations[1].vectors(encoder.embedder.embed(waveforms))
    torch.testing.assert_close(vectors, as_recorded, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_command_writes_rows_of_real_sets_and_factory_and_times(factory_folders, tmp_path, monkeypatch):  # noqa: F811
    generator = np.random.default_rng(0)
    for folder in ("noise/stationary/x_rain_0", "noise/non_stationary/x_dog_0"):
        (tmp_path / folder).parent.mkdir(parents=True)
        sf.write(tmp_path / f"{folder}.flac", 0.1 * generator.normal(size=16000), 16000)
    for split, label, count in (("train", "normal", 3), ("test", "normal", 2), ("test", "anomaly", 2)):
        for domain in ("source", "target"):
            for index in range(count):
                path = tmp_path / f"real/fan/{split}/section_00_{domain}_{split}_{label}_{index:04}_.flac"
                path.parent.mkdir(parents=True, exist_ok=True)
                sf.write(path, 0.1 * generator.normal(size=8000), 16000)
    monkeypatch.setattr(detector_choice, "PROTOCOL", TINY_PROTOCOL)
    monkeypatch.setattr(detector_choice, "NUM_DRAWS", 2)
    monkeypatch.setattr(detector_choice, "BACKENDS", {name: BACKENDS[name] for name in ("knn", "whitened")})
    encoder, tables = map(str, factory_folders)
    output = tmp_path / "choice.csv"
    arguments = ["--real_data", str(tmp_path), "--models", encoder, "log-mel", "--output", str(output), "--seeds", "0"]
    main([*arguments, "--cache_dir", tables, "--device", "cpu"])
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    representations = 4 + 3 + 2 * 3 + 3 + 2 + 1  # log-mel, layers, joined, changes, all of them, changes of log-mel
    counts = {"fan": 2 * 4 * 3 - 1, "factory": 6 * 9 * 3}
    for group, count in counts.items():
        assert sum(row["group"] == group for row in rows) == count * representations * 2
    assert all(0 <= float(row["official_score"]) <= 100 for row in rows)
    with open(f"{output}.times.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == representations
