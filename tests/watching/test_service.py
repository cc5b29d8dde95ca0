"""A watch from its beginning to its end: once, until a signal, and what it leaves for the next one."""

import os
import signal
import threading

import pytest
from watched import FakeHook, PeakJudge, refused, write

from modeling_retainmix.stoppable_csv import Stopped, StopSignals
from modeling_retainmix.watching.service import WatchOptions, run_watch
from modeling_retainmix.watching.state import WatchState


@pytest.fixture
def options(folder, tmp_path):
    def make(**others):
        return WatchOptions(folder, tmp_path / "state", **({"raise_at": 1, "of_last": 1, "poll": 0.01} | others))

    return make


def stored(options):
    with WatchState(options.state) as state:
        return [one.verdict for one in state.recordings()], state.count_deliveries()


def test_once_counts_what_is_new_and_names_what_is_left(folder, options, tmp_path):
    write(folder / "a.wav", 0.1), write(folder / "b.wav", 0.9, seed=1), write(folder / "c.wav")
    (folder / "c.wav").rename(folder / "c.wav.part")
    (folder / "d.m4a").write_bytes(b"x")
    hook, page, seen = FakeHook(errors=[None, refused()]), tmp_path / "trend.html", []
    given = options(once=True, trend=page)
    totals = run_watch(given, PeakJudge(), [hook], on_recording=seen.append, sleep=lambda seconds: None)
    assert (totals.num_recordings, totals.num_anomalous, totals.num_unreadable) == (3, 1, 1)
    assert [path.name for path in totals.waiting] == ["c.wav.part"] and totals.num_undelivered == 1
    assert len(hook.sent) == 2 and len(seen) == 3
    assert "b.wav" in page.read_text() and "messages not delivered" in page.read_text()
    problems = []
    again = run_watch(given, PeakJudge(), [hook], sleep=lambda seconds: None, on_problem=problems.append)
    assert (again.num_recordings, again.num_unreadable) == (0, 1)
    assert [text for text in problems if "d.m4a still cannot be read: has the format m4a" in text]


def test_when_a_signal_comes_while_a_recording_is_decided_then_its_row_is_kept_and_the_rest_is_left(folder, options):
    for number in range(3):
        write(folder / f"{number}.wav", seed=number)

    class Signalled(PeakJudge):
        def judge(self, path):
            os.kill(os.getpid(), signal.SIGTERM)
            return super().judge(path)

    with pytest.raises(Stopped) as stop, StopSignals() as signals:
        run_watch(options(), Signalled(), [FakeHook()], hold=signals.hold)
    assert stop.value.status == 143
    assert stored(options())[0] == ["normal"]


def test_a_watch_looks_at_intervals_sends_beside_and_draws_until_it_is_stopped(folder, options, tmp_path):
    hook, page, looks = FakeHook(), tmp_path / "trend.html", []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 1:
            write(folder / "a.wav", 0.9)
        if len(looks) > 2 and hook.sent and "a.wav" in page.read_text():
            raise KeyboardInterrupt
        assert len(looks) < 1000
        os.sched_yield()
        hook_time.wait(0.02)

    hook_time = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        run_watch(options(poll=7.0, trend=page), PeakJudge(), [hook], sleep=sleep)
    assert {*looks} == {7.0} and stored(options()) == (["anomalous"], {})
    assert not any(thread.name == "deliveries" for thread in threading.enumerate())


def test_when_the_microphone_stops_then_the_watch_ends_with_its_error(options):
    class Broken:
        started = stopped = False

        def start(self):
            self.started = True

        def stop(self):
            self.stopped = True

        def check(self):
            raise OSError("the microphone has stopped")

    microphone = Broken()
    with pytest.raises(OSError, match="microphone has stopped"):
        run_watch(options(), PeakJudge(), microphone=microphone)
    assert microphone.started and microphone.stopped


def test_when_events_wait_for_hooks_that_are_not_given_then_the_watch_says_so(folder, options):
    write(folder / "a.wav")
    told = []
    run_watch(options(once=True), PeakJudge(), [FakeHook("old", errors=[refused()])], sleep=lambda seconds: None)
    run_watch(options(once=True), PeakJudge(), [FakeHook("new")], on_problem=told.append, sleep=lambda seconds: None)
    assert told == ["1 events wait for old, which is not given now: they stay"]
