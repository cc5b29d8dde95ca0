"""False alarms of thresholds from references alone, on embeddings and by the command."""

import numpy as np
import pytest
import torch
from tiny_factory import factory_arguments, factory_folders  # noqa: F401

from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.evaluation.studies import thresholds as threshold_calibration
from modeling_retainmix.evaluation.studies.thresholds import false_alarm_rates, main

SETTINGS = DetectorSettings(backend="mahalanobis")


def rates_of(embeddings, num_references, rate=0.1, draws=20):
    return false_alarm_rates(
        embeddings, num_references, rate, draws, np.random.default_rng(0), SETTINGS, VectorLayout()
    )


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_when_references_are_like_held_out_clips_then_rates_are_near_the_nominal_one(rate):
    clips = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    measured = rates_of(clips, 100, rate)
    assert measured["quantile"] == pytest.approx(rate, abs=0.05)
    assert measured["gamma"] == pytest.approx(rate, abs=0.1)


def test_when_every_held_out_clip_is_farther_than_references_are_apart_then_all_are_alarms():
    clips = torch.cat([torch.randn(12, 4, generator=torch.Generator().manual_seed(0)), torch.full((5, 4), 100.0)])
    clips[12:] *= torch.arange(1, 6)[:, None]

    class InOrder:
        def permutation(self, size):
            return np.arange(size)

    measured = false_alarm_rates(clips, 12, 0.1, 1, InOrder(), SETTINGS, VectorLayout())
    assert measured == {"quantile": 1.0, "gamma": 1.0}


def test_when_no_clip_is_left_then_error_says_so():
    with pytest.raises(ValueError, match="10 references of 10 normal clips leave none to hold out"):
        rates_of(torch.randn(10, 4), 10)


@pytest.mark.parametrize("num_windows", [6, 30])
def test_when_held_out_clips_have_many_windows_then_rates_stay_near_the_nominal_one(num_windows):
    clips = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    measured = false_alarm_rates(clips, 100, 0.1, 20, np.random.default_rng(0), SETTINGS, VectorLayout(), num_windows)
    assert 0.01 < measured["quantile"] < 0.2 and 0.01 < measured["gamma"] < 0.25


@pytest.mark.slow
def test_command_prints_a_row_per_domain_and_method(factory_arguments, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setattr(threshold_calibration, "CASES", (("source", 7), ("target", 6)))
    monkeypatch.setattr(threshold_calibration, "WINDOWS", (1, 3))
    main([*factory_arguments, "--num_draws", "2", "--false_alarm_rate", "0.2"])
    sentence, _, _, _, *rows = capsys.readouterr().out.splitlines()
    assert "Validation machines" in sentence and "nominal 20%" in sentence
    assert [row.split(" | ")[:4] for row in rows] == [
        [f"| {domain}", number, windows, method]
        for domain, number in (("source", "7"), ("target", "6"))
        for windows in ("1", "3")
        for method in ("quantile", "gamma")
    ]
