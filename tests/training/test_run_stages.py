"""The stages of a run: expected errors in one line, others with their traceback, and the time of each stage."""

import pytest

from modeling_retainmix.training.run_stages import one_line_errors, timed


def test_when_an_expected_error_has_several_lines_then_the_process_ends_with_one():
    with pytest.raises(SystemExit) as end, one_line_errors(ValueError):
        raise ValueError("the first\n   second line")
    assert str(end.value) == "error: the first second line"


def test_when_an_error_is_not_expected_then_it_passes():
    with pytest.raises(KeyError), one_line_errors(ValueError):
        raise KeyError("surprise")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left"), "error: cannot write: [Errno 28] No space left"),
        (OSError(28, "No space left", "cache/a"), "error: cannot write: [Errno 28] No space left: 'cache/a'"),
        (PermissionError(13, "Denied", "mine/a"), "error: [Errno 13] Denied: 'mine/a'"),
        (FileNotFoundError("a is missing"), "error: a is missing"),
        (ValueError("a is empty"), "error: a is empty"),
    ],
)
def test_when_a_place_is_given_then_it_stands_before_errors_that_are_not_about_input(error, expected):
    with (
        pytest.raises(SystemExit) as end,
        one_line_errors(OSError, ValueError, place="cannot write: ", folder="cache"),
    ):
        raise error
    assert str(end.value) == expected


def test_when_a_stage_ends_then_its_seconds_are_recorded_under_its_name(monkeypatch):
    moments = iter([10.0, 12.5])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    durations = {}
    with timed(durations, "data"):
        pass
    assert durations == {"data": 2.5}
