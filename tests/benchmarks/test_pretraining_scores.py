"""The learning curve of a pre-training: which weights are scored, once each."""

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_run import ENCODER
from torch.optim.swa_utils import AveragedModel

from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def scores(monkeypatch):
    """The script, with a scorer that tells the weights that it is given."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import pretraining_scores

    def teacher(self, model, extractor, run, args):
        assert not model.training and extractor.clip_level == -0.1 and run.protocol == "small"
        weight = float(next(model.parameters()).detach().sum())
        row = {"system": "frozen_teacher", "layer": 0, "backend": "knn", "data": "factory", "condition": "all SNRs"}
        return [{**row, "score": f"{weight:.4f}"}]

    monkeypatch.setattr(pretraining_scores.Scorer, "teacher", teacher)
    return pretraining_scores


@pytest.fixture
def run(tmp_path):
    """A run with checkpoints of steps 3 and 20."""
    for step in (20, 3):
        add_checkpoint(tmp_path / "run", step)
    return tmp_path / "run"


def add_checkpoint(run, step):
    torch.manual_seed(step)
    encoder = BeatsModel(BeatsConfig(**ENCODER))
    folder = run / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file(AveragedModel(encoder).state_dict(), folder / "average.safetensors")
    encoder.save_pretrained(run / "best")  # other weights than those of the checkpoint before
    BeatsFeatureExtractor(clip_level=-0.1).save_pretrained(run / "best")
    return float(next(encoder.parameters()).detach().sum())


def test_every_checkpoint_is_scored_once_by_its_averaged_weights(scores, run, tmp_path, capsys):
    output = tmp_path / "curve.csv"
    words = ["--run", str(run), "--output", str(output)]
    scores.main(words)
    last = add_checkpoint(run, 100)
    scores.main(words)
    with output.open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [row["step"] for row in found] == ["3", "20", "100"]
    assert float(found[2]["score"]) == pytest.approx(last, abs=1e-3)
    assert len({row["score"] for row in found}) == 3
    assert capsys.readouterr().out.splitlines() == [f"step {step}: scored" for step in (3, 20, 100)]


def test_when_there_is_nothing_to_score_then_error_names_the_folder(scores, tmp_path):
    with pytest.raises(SystemExit, match="holds no checkpoint of a pre-training"):
        scores.main(["--run", str(tmp_path), "--output", str(tmp_path / "curve.csv")])


def test_when_the_run_has_no_configuration_yet_then_error_says_so(scores, run, tmp_path):
    (run / "best" / "config.json").unlink()
    with pytest.raises(SystemExit, match="does not exist: the run writes it at its first probe"):
        scores.main(["--run", str(run), "--output", str(tmp_path / "curve.csv")])
