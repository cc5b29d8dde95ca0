"""Sessions: the same for all their clips, different from one another by their widths."""

import numpy as np
import pytest

from modeling_retainmix.data.factory.sessions import draw_session
from modeling_retainmix.data.factory.widths import WIDTHS

WIDTHS_4 = WIDTHS[4].session


def _sessions(count=300):
    return [
        draw_session(WIDTHS_4, 0, ("fan", index), "hall", ("shaft", "friction"), 5, 1024) for index in range(count)
    ]


def test_a_session_is_drawn_alike_each_time():
    first, again = (draw_session(WIDTHS_4, 0, ("fan", 1), "hall", ("shaft",), 5, 1024) for _ in range(2))
    assert (first.speed, first.load, first.levels_db) == (again.speed, again.load, again.levels_db)
    np.testing.assert_array_equal(first.path, again.path)


def test_sessions_spread_by_their_widths():
    sessions = _sessions()
    for values, width in (
        ([s.speed for s in sessions], WIDTHS_4.speed_std),
        ([s.load for s in sessions], WIDTHS_4.load_std),
        ([s.levels_db["friction"] for s in sessions], WIDTHS_4.level_std_db),
        (20 * np.log10([s.lines[0] for s in sessions]), WIDTHS_4.line_std_db),
        ([s.floor_db for s in sessions], WIDTHS_4.floor_std_db),
        ([s.severity_db for s in sessions], WIDTHS_4.severity_std_db),
    ):
        assert np.std(values) == pytest.approx(width, rel=0.2)
    assert np.mean([s.speed for s in sessions]) == pytest.approx(1.0, abs=0.005)


def test_paths_to_the_microphone_differ_between_sessions():
    level = 20 * np.log10(np.abs(np.stack([session.path for session in _sessions(60)])))
    assert level.shape == (60, 513)
    assert level[:, 20:400].std(axis=0).mean() > WIDTHS_4.color_std_db


def test_only_version_4_has_sessions():
    assert WIDTHS[3].session is None
