"""A watch from its beginning to its end: looks at intervals, deliveries beside them, and the trend page."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from modeling_retainmix.watching.arrivals import PATIENCE
from modeling_retainmix.watching.deliveries import DeliveryThread, Outbox
from modeling_retainmix.watching.hooks import Hook
from modeling_retainmix.watching.judge import Judge
from modeling_retainmix.watching.microphone import Microphone
from modeling_retainmix.watching.recording import Recording
from modeling_retainmix.watching.state import WatchState
from modeling_retainmix.watching.trend import DAYS, write_trend
from modeling_retainmix.watching.watcher import Watcher

_SECONDS_OF_A_DAY = 86400


@dataclass(frozen=True)
class WatchOptions:
    """What is watched, and how.

    Attributes:
        folder: with the recordings.
        state: folder of what is remembered.
        raise_at, of_last: as in `Watcher`.
        poll: seconds between looks.
        once: look twice, `poll` seconds apart, decide what is whole by then, try each delivery once, and end.
        trend: HTML to write; None: none.
        patience: as in `Arrivals`.
    """

    folder: Path
    state: Path
    raise_at: int = 3
    of_last: int = 5
    poll: float = 5.0
    once: bool = False
    trend: Path | None = None
    patience: float = PATIENCE


@dataclass
class WatchTotals:
    """What came of a watch that has ended.

    Attributes:
        num_recordings: new ones.
        num_anomalous: of them.
        num_unreadable: of them; of a watch that looks once, of all that the folder holds.
        waiting: {file: why it is left for the next watch}.
        num_undelivered: events that wait.
    """

    num_recordings: int = 0
    num_anomalous: int = 0
    num_unreadable: int = 0
    waiting: dict[Path, str] | None = None
    num_undelivered: int = 0


def run_watch(
    options: WatchOptions,
    judge: Judge,
    hooks: Sequence[Hook] = (),
    microphone: Microphone | None = None,
    on_recording: Callable[[Recording], None] = lambda recording: None,
    on_problem: Callable[[str], None] = lambda problem: None,
    hold: Callable[[], AbstractContextManager[None]] = nullcontext,
    sleep: Callable[[float], None] = time.sleep,
) -> WatchTotals:
    """Watch a folder until an exception ends it, such as Ctrl-C; with `once`, until what is there is decided.

    Args:
        options: what is watched, and how.
        judge: decides.
        hooks: to which each recording is delivered.
        microphone: records into the folder; it is started and stopped.
        on_recording, on_problem, hold: as in `Watcher`.
        sleep: waits between looks.

    Raises:
        FileNotFoundError, ValueError, OSError: as `Watcher` and `WatchState`; or the microphone has stopped.
    """
    totals, told = WatchTotals(), set[str]()

    def count(recording: Recording) -> None:
        totals.num_recordings += 1
        totals.num_anomalous += recording.is_anomalous is True
        totals.num_unreadable += recording.is_anomalous is None
        told.add(recording.path)
        on_recording(recording)

    with ExitStack() as stack:
        state = stack.enter_context(WatchState(options.state))
        watcher = Watcher(
            options.folder,
            judge,
            state,
            hooks,
            options.raise_at,
            options.of_last,
            options.patience,
            hold=hold,
            on_recording=count,
            on_problem=on_problem,
        )
        outbox = Outbox(state, hooks, on_problem=on_problem)
        for orphan in outbox.describe_orphans():
            on_problem(orphan)
        page = _TrendPage(options, state, outbox)
        page.write()
        if options.once:
            watcher.look()
            sleep(options.poll)
            watcher.look()
            outbox.send_all_once()
            page.write()
            unreadable = state.unreadable_files()
            for path in sorted(unreadable.keys() - told):
                on_problem(f"{path} still cannot be read: {unreadable[path]}")
            totals.num_unreadable = len(unreadable)
            totals.waiting, totals.num_undelivered = watcher.waiting, outbox.num_waiting()
            return totals
        threads = [_delivery_thread(options.state, hook, on_problem) for hook in hooks]
        for thread in threads:
            thread.start()
            stack.callback(thread.stop)
        if microphone is not None:
            microphone.start()
            stack.callback(microphone.stop)
        while True:
            page.update(bool(watcher.look()))
            for thread in threads:
                thread.check()
            if microphone is not None:
                microphone.check()
            sleep(options.poll)


def _delivery_thread(state: Path, hook: Hook, on_problem: Callable[[str], None]) -> DeliveryThread:
    return DeliveryThread(lambda: WatchState(state), lambda own: Outbox(own, [hook], on_problem=on_problem))


class _TrendPage:
    """The trend page of a watch, written as often as it costs at most a twentieth of the time."""

    def __init__(self, options: WatchOptions, state: WatchState, outbox: Outbox) -> None:
        self._options, self._state, self._outbox = options, state, outbox
        self._is_old, self._next = True, 0.0

    def update(self, is_old: bool) -> None:
        """Write the page if recordings have come since, and it is time; else later."""
        self._is_old = self._is_old or is_old
        if self._is_old and time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        """Write the page now, if one is wanted."""
        if self._options.trend is None:
            return
        begun, now = time.monotonic(), time.time()
        recordings = self._state.recordings(now - DAYS * _SECONDS_OF_A_DAY)
        write_trend(self._options.trend, recordings, os.fspath(self._options.folder), now, self._outbox.num_waiting())
        self._is_old, self._next = False, time.monotonic() + 20 * (time.monotonic() - begun)
