"""Rows of students that no recipe makes: which weights are scored, once each."""

import csv
from pathlib import Path

import pytest
import torch
from tiny_run import ENCODER

from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def variants(monkeypatch):
    """The script, with a scorer that tells the weights and the machines that it is given."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import student_variants

    def student(self, model, extractor, run, args):
        assert not model.training and extractor.clip_level == -0.1 and run.protocol == "small"
        weight = float(next(model.parameters()).detach().sum())
        row = {"system": "student", "layer": 0, "backend": "knn", "data": "factory", "condition": "all SNRs"}
        return [{**row, "score": f"{weight + 100 * run.benchmark_seed:.4f}"}]

    monkeypatch.setattr(student_variants.Scorer, "student", student)
    return student_variants


@pytest.fixture
def saved(tmp_path):
    """Save an encoder of some seed; its folder, and the sum of the weights that are scored."""

    def save(seed, **changes):
        torch.manual_seed(seed)
        model = BeatsModel(BeatsConfig(**ENCODER | changes))
        model.save_pretrained(tmp_path / f"{seed}")
        BeatsFeatureExtractor(clip_level=-0.1).save_pretrained(tmp_path / f"{seed}")
        return str(tmp_path / f"{seed}"), float(next(model.parameters()).detach().sum())

    return save


def test_a_model_is_scored_once_on_the_machines_of_a_seed(variants, saved, tmp_path):
    (model, weight), output = saved(1), tmp_path / "variants.csv"
    words = [model, "--run", "mean of a, b", "--recipe", "tagging_0db", "--output", str(output)]
    variants.main(words)
    variants.main([*words, "--seed", "2"])
    with pytest.raises(SystemExit, match=r"variants\.csv holds 'mean of a, b' on the machines of seed 2 already"):
        variants.main([*words, "--seed", "2"])
    with output.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["recipe"], row["seed"]) for row in rows] == [
        ("mean of a, b", "tagging_0db", "0"),
        ("mean of a, b", "tagging_0db", "2"),
    ]
    assert [float(row["score"]) for row in rows] == pytest.approx([weight, weight + 200], abs=1e-3)
    with (BENCHMARKS / "student_variants.csv").open(encoding="utf-8") as file:
        assert csv.DictReader(file).fieldnames == list(rows[0])  # so that the rows stand beside those


@pytest.mark.parametrize("share", [0.7, 1.4])
def test_what_is_scored_may_lie_between_start_and_student_or_beyond(variants, saved, tmp_path, share):
    (start, begin), (model, end) = saved(1), saved(2)
    output = tmp_path / "variants.csv"
    variants.main([model, "--run", "a", "--start", start, "--share", str(share), "--output", str(output)])
    with output.open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert abs(end - begin) > 0.1
    assert float(row["score"]) == pytest.approx(begin + share * (end - begin), abs=1e-3)


def test_when_a_share_has_no_start_then_nothing_is_filed(variants, saved, tmp_path, capsys):
    (model, _), output = saved(1), tmp_path / "variants.csv"
    with pytest.raises(SystemExit):
        variants.main([model, "--run", "a", "--share", "0.5", "--output", str(output)])
    assert "--share 0.5 is of the way from --start: name that encoder too" in capsys.readouterr().err
    assert not output.exists()


def test_when_the_start_has_another_shape_then_it_is_named(variants, saved, tmp_path):
    (start, _), (model, _) = saved(1, num_hidden_layers=1), saved(2)
    with pytest.raises(SystemExit, match=r"error: .*2 and .*1 have other tensors"):
        variants.main([model, "--run", "a", "--start", start, "--output", str(tmp_path / "variants.csv")])
