"""An alarm needs several anomalous clips, and a quiet time to go."""

import numpy as np
import pytest

from modeling_retainmix.detection.hysteresis import Hysteresis, held_alarms


def naive(decisions, raise_at, of_last, clear_at):
    states, state = [], False
    for end in range(1, len(decisions) + 1):
        count = sum(decisions[max(0, end - of_last) : end])
        state = True if count >= raise_at else False if count <= clear_at else state
        states.append(state)
    return states


@pytest.mark.parametrize(("raise_at", "of_last", "clear_at"), [(1, 1, 0), (2, 3, 0), (3, 5, 1), (5, 5, 4)])
def test_alarms_are_those_of_a_count_over_the_last_clips(raise_at, of_last, clear_at):
    decisions = np.random.default_rng(0).random(300) < 0.55
    expected = naive(decisions.tolist(), raise_at, of_last, clear_at)
    found = held_alarms(decisions, raise_at, of_last, clear_at)
    assert found.tolist() == expected and found.dtype == bool
    assert found.any() and not found.all()


def test_when_single_clips_are_anomalous_then_no_alarm_is_raised():
    assert not held_alarms([True, False, False, True, False, False], 2, 3).any()


def test_when_an_alarm_is_raised_then_it_stays_until_the_last_clips_are_quiet():
    assert held_alarms([True, True, False, True, False, False, False], 2, 3).tolist() == [False, *[True] * 5, False]


def test_when_a_clip_cannot_be_read_then_the_alarm_stays_as_it_is():
    alarm = Hysteresis(2, 2)
    assert [alarm.update(decision) for decision in (True, None, True, None, False)] == [False, False, True, True, True]
    assert alarm.is_raised


def test_when_the_last_clips_before_are_quiet_then_a_clip_that_cannot_be_read_does_not_clear_the_alarm():
    alarm = Hysteresis(1, 3)
    alarm.is_raised = True  # by a clip that has left the window, as of a watch that begins again
    alarm.update(False)
    alarm.is_raised = True
    assert alarm.update(None) and not alarm.update(False)


def test_when_no_clip_was_heard_then_there_are_no_alarms():
    assert held_alarms([], 1, 1).shape == (0,)


@pytest.mark.parametrize("numbers", [(0, 3, 0), (4, 3, 0), (2, 3, 2), (2, 3, -1)])
def test_when_numbers_contradict_each_other_then_error_says_what_to_use(numbers):
    with pytest.raises(ValueError, match=f"raise_at={numbers[0]}.*use 0 <= clear_at < raise_at <= of_last"):
        Hysteresis(*numbers)
