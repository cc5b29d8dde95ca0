"""Thresholds keep the false-alarm rate on further clips of the same distribution."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.threshold import score_threshold


@pytest.mark.parametrize("method", ["quantile", "gamma"])
def test_with_100_references_held_out_clips_exceed_the_threshold_as_often_as_asked(method):
    """Nearest-neighbor distances in a space of few effective dimensions, references left out one by one."""
    generator = torch.Generator().manual_seed(0)
    alarms = []
    for _ in range(20):
        clips = torch.randn(400, 32, generator=generator) * torch.linspace(1, 0, 32) ** 2
        references = References(clips[:100], torch.arange(100), torch.zeros(100, dtype=torch.bool))
        backend = KnnBackend(references, "source")
        limit = score_threshold(backend.leave_one_out().numpy(), 0.1, method)
        alarms.append((backend.distance(clips[100:]) > limit).float().mean().item())
    assert abs(np.mean(alarms) - 0.1) < 0.02


@pytest.mark.parametrize("method", ["quantile", "gamma"])
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
def test_false_alarm_rate_on_further_clips_is_near_the_nominal_one(method, rate):
    generator = np.random.default_rng(0)
    alarms = []
    for _ in range(200):
        scores = generator.gamma(4.0, 1.5, 1100)
        alarms.append((scores[100:] > score_threshold(scores[:100], rate, method)).mean())
    assert abs(np.mean(alarms) - rate) < 0.01


def test_when_there_are_few_scores_then_the_highest_is_the_threshold():
    assert score_threshold(np.asarray([3.0, 1.0, 2.0]), 0.1) == 3.0


def test_when_there_are_too_few_scores_for_the_rate_then_a_warning_says_how_many_it_needs(recwarn):
    with pytest.warns(UserWarning, match="too few references for false_alarm_rate=0.01, 98 of the 99 it needs"):
        score_threshold(np.arange(98.0), 0.01)
    recwarn.clear()
    score_threshold(np.arange(99.0), 0.01)
    score_threshold(np.arange(9.0), 0.1)
    assert not recwarn


def test_quantile_has_the_rank_of_conformal_prediction():
    assert score_threshold(np.arange(19.0), 0.1) == 17.0  # rank 0.9 * 20 = 18


def test_gamma_begins_at_the_lower_bound():
    scores = np.random.default_rng(0).gamma(4.0, 1.5, 500)
    shifted = score_threshold(scores - 20.0, 0.1, "gamma", lower_bound=-20.0)
    assert shifted == pytest.approx(score_threshold(scores, 0.1, "gamma") - 20.0)


def test_when_a_reference_is_doubled_then_its_zero_does_not_break_the_fit():
    scores = np.random.default_rng(0).gamma(4.0, 1.5, 500)
    with_zeros = score_threshold(np.append(scores, [0.0, 0.0]), 0.1, "gamma")
    assert with_zeros == score_threshold(scores, 0.1, "gamma")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"false_alarm_rate": 0.0}, "false_alarm_rate=0.0"),
        ({"false_alarm_rate": 1.0}, "false_alarm_rate=1.0"),
        ({"method": "normal"}, "method='normal' is not a valid threshold method"),
        ({"reference_scores": np.zeros(0)}, "no reference scores"),
        ({"reference_scores": np.ones(9), "method": "gamma"}, "too few for a gamma fit"),
    ],
)
def test_when_arguments_are_wrong_then_error_names_the_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        score_threshold(**{"reference_scores": np.arange(5.0), **arguments})
