"""An empty folder to watch, and a state for it."""

import pytest
from watched import Clock, PeakJudge

from modeling_retainmix.watching.state import WatchState
from modeling_retainmix.watching.watcher import Watcher


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "recordings").mkdir()
    return tmp_path / "recordings"


@pytest.fixture
def state(tmp_path):
    with WatchState(tmp_path / "state") as opened:
        yield opened


@pytest.fixture
def watch(folder, state, clock):
    """Begin a watch; `watch().look()` twice takes what is there."""

    def begin(judge=None, hooks=(), raise_at=1, of_last=1, **options):
        options = {"patience": 60.0, "clock": clock} | options
        return Watcher(folder, judge or PeakJudge(), state, hooks, raise_at, of_last, **options)

    return begin
