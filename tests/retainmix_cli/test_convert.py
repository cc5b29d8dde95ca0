"""Encoders and detectors in other forms."""

from pathlib import Path

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector
from retainmix_score import Scorer

CHECKPOINT = Path(__file__).parents[1] / "golden" / "beats" / "beats_pretrain.pt"


def test_when_a_checkpoint_is_converted_then_the_folder_loads_as_an_encoder(command, tmp_path):
    status, (record,), errors = command("convert", CHECKPOINT, "--output", tmp_path / "beats")
    assert (status, record["class"]) == (0, "BeatsModel") and "M parameters" in errors
    assert AnomalyDetector.from_pretrained(tmp_path / "beats").reference_names == []
    status, _, errors = command("export", "--detector", tmp_path / "beats", "--output", tmp_path / "onnx")
    assert status == 2 and "is an encoder without references: fit it with `retainmix fit" in errors.splitlines()[-1]


@pytest.mark.slow
def test_when_a_detector_is_exported_then_the_files_score_as_it_does(machine, fitted, command, tmp_path):
    status, (record,), _ = command("export", "--detector", fitted, "--output", tmp_path / "onnx")
    assert status == 0 and record["bytes"] == (tmp_path / "onnx" / "scorer.onnx").stat().st_size
    today = sorted((machine / "today").iterdir())
    expected = AnomalyDetector.from_pretrained(fitted).score(today)
    np.testing.assert_allclose(Scorer(tmp_path / "onnx").score(today), expected, rtol=1e-3)
