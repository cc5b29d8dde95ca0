"""Scores by layer and the files of Figure 2."""

import builtins
import csv

import numpy as np
import pytest
from scipy.stats import hmean

from modeling_retainmix.evaluation.bootstrap import official_scores
from modeling_retainmix.evaluation.paper.figure_2 import (
    layer_scores,
    read_layer_scores,
    write_figure,
    write_layer_scores,
)
from modeling_retainmix.evaluation.scores import ClipScores


def make_scores(data="benchmark", encoder="Frozen teacher", seed=0):
    generator = np.random.default_rng(seed)
    is_anomaly, is_target_domain = np.tile([False, True], 20), np.tile([False, False, True, True], 10)
    layers = {
        layer: ClipScores(
            np.full(40, "fan"),
            is_anomaly,
            is_target_domain,
            {("Mismatch", snr_db): generator.normal(size=40) + layer * is_anomaly for snr_db in (-10, 0)},
        )
        for layer in (1, 2)
    }
    return layers, layer_scores(data, encoder, seed, layers, "benchmark")


def test_when_layers_are_scored_then_each_is_the_harmonic_mean_of_its_cells_within_its_interval():
    layers, found = make_scores()
    for layer, clips in layers.items():
        cells = [official_scores(values, clips, np.ones((1, 40)))[0] for values in clips.scores.values()]
        assert found.scores[layer] == pytest.approx(100 * hmean(cells))
        low, high = found.confidence_intervals[layer]
        assert low < found.scores[layer] < high


def test_when_scores_are_written_then_they_are_read_as_they_were(tmp_path):
    scores = [make_scores(seed=seed)[1] for seed in (0, 1)]
    for one in scores:
        write_layer_scores(tmp_path, "teacher", one)
    assert read_layer_scores(tmp_path) == scores
    assert read_layer_scores(tmp_path / "nowhere") == []


def test_when_the_figure_is_made_then_picture_table_and_numbers_hold_every_data_set(tmp_path):
    found = [make_scores(seed=seed)[1] for seed in (0, 1)] + [make_scores("dcase", "Denoising")[1]]
    paths = write_figure(tmp_path, found)
    assert [path.name for path in paths] == ["figure_2.md", "figure_2.csv", "figure_2.png"]
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    mean, std = (f([one.scores[1] for one in found[:2]]) for f in (np.mean, lambda values: np.std(values, ddof=1)))
    assert f"| benchmark | Frozen teacher | 2 | {mean:.1f} ± {std:.1f} |" in paths[0].read_text()
    with paths[1].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert float(rows[-1]["low"]) < float(rows[-1]["score"]) < float(rows[-1]["high"])


def test_when_matplotlib_is_missing_then_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    load = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(ValueError, match=r"figure_2.png needs matplotlib: pip install retainmix\[plots\]"):
        write_figure(tmp_path, [make_scores()[1]])


def test_when_a_file_is_broken_then_the_error_names_it(tmp_path):
    (tmp_path / "benchmark_teacher_seed0.json").write_text("{}")
    with pytest.raises(ValueError, match=r"benchmark_teacher_seed0.json does not hold scores of layers"):
        read_layer_scores(tmp_path)
