"""The estimate against a clock that is known, and in a training."""

from types import SimpleNamespace

import pytest
from tiny_training import make_trainer

from modeling_retainmix.training.time_estimate import TimeEstimate, duration_text


def state(step, max_steps=300, first=True):
    return SimpleNamespace(global_step=step, max_steps=max_steps, is_world_process_zero=first)


@pytest.mark.parametrize(
    ("resumed_at", "said"),
    [(0, "295 more steps of 2 s each take about 10 minutes"), (250, "45 more steps of 2 s each take about 2 minutes")],
)
def test_when_the_first_steps_are_done_then_the_rest_is_said_once_without_the_slow_first_one(capsys, resumed_at, said):
    times = iter([100.0, 108.0])  # ends of the first step and of the fifth; the second to fifth take 2 s each
    estimate = TimeEstimate(clock=lambda: next(times))
    estimate.on_train_begin(None, state(resumed_at), None)
    for step in range(1, 30):
        estimate.on_step_end(None, state(resumed_at + step), None)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"training: {said}")


def test_when_a_process_is_not_the_first_then_it_says_nothing(capsys):
    estimate = TimeEstimate()
    for step in range(1, 9):
        estimate.on_step_end(None, state(step, first=False), None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "1 seconds"),
        (89, "89 seconds"),
        (91, "2 minutes"),
        (89 * 60, "89 minutes"),
        (3.5 * 3600, "3.5 hours"),
    ],
)
def test_durations_are_said_in_the_unit_that_fits(seconds, text):
    assert duration_text(seconds) == f"about {text}"


def test_when_a_training_has_more_than_five_steps_then_it_says_how_long_it_takes(tmp_path, capsys):
    make_trainer(tmp_path, max_steps=6).train()
    assert "training: 1 more steps of " in capsys.readouterr().out
