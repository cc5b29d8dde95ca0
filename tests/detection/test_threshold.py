"""Thresholds keep the false-alarm rate on further clips of the same distribution."""

import re

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.threshold import calibration_scores, describe_need, score_threshold, threshold_table


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
    with pytest.warns(UserWarning, match="false_alarm_rate=0.01: 1 % needs 99 recordings, and 98 bear 1.01 %"):
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


@pytest.mark.parametrize("num_references", [10, 30, 100])
@pytest.mark.parametrize("num_windows", [6, 11, 59])
def test_false_alarm_rate_of_long_clips_is_near_the_nominal_one_however_few_references_there_are(
    num_references, num_windows
):
    generator = np.random.default_rng(0)
    alarms = []
    for _ in range(100):
        limit = score_threshold(generator.gamma(4.0, 1.5, num_references), 0.1, num_stretches=num_windows)
        alarms.append((generator.gamma(4.0, 1.5, (100, num_windows)).max(axis=1) > limit).mean())
    assert 0.02 < np.mean(alarms) < 0.2


def test_windows_of_references_that_are_as_long_are_taken_with_their_dependence():
    """Windows of one recording are nearly alike: a rule for independent windows would find no alarm."""
    generator = np.random.default_rng(0)
    alarms = []
    for _ in range(40):
        recordings, tests = (
            generator.gamma(4.0, 1.5, (n, 1)) + generator.gamma(1.0, 0.1, (n, 11)) for n in (100, 200)
        )
        recording, is_target = np.repeat(np.arange(100), 11), np.zeros(1100, dtype=bool)
        values, index, stretches = calibration_scores(recordings.ravel(), recording, is_target, 11)
        assert stretches == 1
        alarms.append((tests.max(axis=1) > score_threshold(values, 0.1, "quantile", 0.0, index, stretches)).mean())
    assert abs(np.mean(alarms) - 0.1) < 0.02


def test_windows_of_long_references_share_the_weight_of_their_recording():
    generator = np.random.default_rng(0)
    alarms = []
    for _ in range(40):
        level = generator.gamma(4.0, 1.5, 300)
        counts = np.where(level[:100] > 6, 40, 1)  # high recordings are long: unweighted, they would decide
        recording = np.repeat(np.arange(100), counts)
        limit = score_threshold(level[recording], 0.1, recording=recording)
        alarms.append((level[100:] > limit).mean())
    assert abs(np.mean(alarms) - 0.1) < 0.02


def test_a_threshold_grows_with_the_number_of_windows():
    scores = np.random.default_rng(0).gamma(4.0, 1.5, 40)
    for method in ("quantile", "gamma"):
        limits = [score_threshold(scores, 0.1, method, num_stretches=n) for n in (1, 2, 3, 5, 10, 100, 10**4, 10**9)]
        assert np.all(np.diff(limits) >= 0) and limits[0] < limits[4] < limits[-1] < np.inf


def test_stretches_are_runs_of_windows_inside_one_recording():
    scores = np.asarray([1.0, 5, 2, 7, 3, 4])
    recording, is_target = np.asarray([0, 0, 0, 1, 1, 1]), np.zeros(6, dtype=bool)
    values, index, stretches = calibration_scores(scores, recording, is_target, 2)
    assert (values.tolist(), index.tolist(), stretches) == ([5, 5, 7, 4], [0, 0, 1, 1], 1)
    values, _, stretches = calibration_scores(scores, recording, is_target, 2, "mean")
    assert (values.tolist(), stretches) == ([3, 3.5, 5, 3.5], 1)
    values, _, stretches = calibration_scores(scores, recording, is_target, 6)
    assert (values.tolist(), stretches) == ([5, 7], 2)
    assert calibration_scores(scores[[0, 3]], recording[[0, 3]], is_target[:2], 9, "first").num_stretches == 1


def test_short_recordings_of_one_domain_bound_the_stretches():
    recording = np.asarray([0, 0, 0, 1, 1, 1, 2, 3])
    is_target = recording >= 2
    values, index, stretches = calibration_scores(np.arange(8.0), recording, is_target, 3)
    assert (len(values), stretches) == (8, 3)
    _, index, stretches = calibration_scores(np.arange(7.0), recording[:7], np.zeros(7, dtype=bool), 3)
    assert (index.tolist(), stretches) == ([0, 1], 1)  # the short one is left out


def test_a_table_holds_thresholds_by_windows_or_nothing():
    table = threshold_table(lambda rate, method, count: rate * count, lambda rate: 9)
    assert (table["false_alarm_rate"], table["method"]) == (0.1, "quantile")
    assert table["by_windows"]["1"] == 0.1 and table["by_windows"]["1024"] == pytest.approx(102.4)

    few = threshold_table(lambda rate, method, count: rate * count, lambda rate: 4)
    assert (few["false_alarm_rate"], few["by_windows"]["1"]) == (0.2, 0.2)

    def raises(*arguments):
        raise ValueError("too few")

    assert threshold_table(raises, lambda rate: 9) is None


@pytest.mark.parametrize(
    ("unit", "count", "message"),
    [
        ("groups", 1, "10 % needs 9 sessions, and 1 bears 50 %: .*add sessions or raise"),
        ("recordings", 4, "10 % needs 9 recordings, and 4 bear 20 %: .*add recordings or raise"),
    ],
)
def test_when_references_are_too_few_then_it_is_said_in_the_words_of_the_command_line(unit, count, message):
    assert re.search(message, describe_need(0.1, count, unit))
    assert "needs 1 session, and" in describe_need(0.5, 0, "groups")
