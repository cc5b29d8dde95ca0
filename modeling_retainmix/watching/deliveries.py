"""Events on their way: each is sent until it has arrived, at longer and longer intervals, and at last set aside."""

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from modeling_retainmix.watching.hooks import DeliveryError, Hook
from modeling_retainmix.watching.recording import Delivery
from modeling_retainmix.watching.state import WatchState

DEAD_LETTERS = "dead_letters.jsonl"
MAX_TRIES = 500  # three and a half days, most of them ten minutes apart

_FIRST_DELAY, _LONGEST_DELAY = 1.0, 600.0  # seconds
_BATCH = 100


class Outbox:
    """Send what waits in a state, at least once.

    After the n-th try without success the next one is 2^(n-1) seconds later, at most ten minutes. Where nobody
    answers, the hook's other events wait too, in the order of recordings. An event that has failed `max_tries` times
    becomes a line of `dead_letters.jsonl` beside the state.

    Args:
        state: of the watch.
        hooks: events of hooks that are not among them stay where they are.
        max_tries: for each event.
        clock: seconds since 1970.
        on_problem: called with a sentence when a hook fails for the first time after a success, and for dead letters.
    """

    def __init__(
        self,
        state: WatchState,
        hooks: Sequence[Hook],
        max_tries: int = MAX_TRIES,
        clock: Callable[[], float] = time.time,
        on_problem: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self._state, self._hooks = state, {hook.id: hook for hook in hooks}
        self._max_tries, self._clock, self._on_problem = max_tries, clock, on_problem
        self._failures = dict.fromkeys(self._hooks, 0)  # one after another
        self._silences = dict.fromkeys(self._hooks, 0)  # of these, to which nobody answered, one after another
        self._paused_until = dict.fromkeys(self._hooks, 0.0)

    @property
    def dead_letters(self) -> str:
        """The file of events that were given up: JSON lines."""
        return os.fspath(self._state.folder / DEAD_LETTERS)

    def num_waiting(self) -> int:
        """Count the events that wait for one of the hooks."""
        return sum(count for (hook, _), count in self._state.count_deliveries().items() if hook in self._hooks)

    def describe_orphans(self) -> list[str]:
        """Say in sentences what waits for hooks that are not given."""
        return [
            f"{count} events wait for {name}, which is not given now: they stay"
            for (hook, name), count in self._state.count_deliveries().items()
            if hook not in self._hooks
        ]

    def send_due(self, is_stopped: Callable[[], bool] = lambda: False) -> int:
        """Try events that are due once each, at most a hundred of a hook.

        Args:
            is_stopped: asked before each event.

        Returns:
            How many have arrived.
        """
        num_arrived = 0
        for hook in self._hooks.values():
            if self._paused_until[hook.id] > self._clock():
                continue
            for delivery in self._state.due_deliveries(hook.id, self._clock(), _BATCH):
                if is_stopped() or self._paused_until[hook.id] > self._clock():
                    break
                num_arrived += self._send(delivery, hook)
        return num_arrived

    def send_all_once(self) -> None:
        """Try every event that is due once; where nobody answers, a hook's others are left for later."""
        while self.send_due():
            pass

    def _send(self, delivery: Delivery, hook: Hook) -> bool:
        try:
            hook.send(delivery.key, delivery.payload)
        except DeliveryError as error:
            self._fail(delivery, hook, error)
            return False
        self._failures[hook.id] = self._silences[hook.id] = 0
        self._state.remove_delivery(delivery)
        return True

    def _fail(self, delivery: Delivery, hook: Hook, error: DeliveryError) -> None:
        tries = delivery.tries + 1
        if self._failures[hook.id] == 0:
            self._on_problem(f"{hook.name}: {error}; it is tried again")
        self._failures[hook.id] += 1
        self._silences[hook.id] = self._silences[hook.id] + 1 if error.is_unreachable else 0
        if error.is_unreachable:
            self._paused_until[hook.id] = self._clock() + _delay(self._silences[hook.id])
        if tries < self._max_tries:
            self._state.postpone(delivery, tries, self._clock() + _delay(tries), str(error))
            return
        time_ = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds")
        letter = {"hook": delivery.hook_name, "tries": tries, "error": str(error), "given_up": time_}
        with open(self.dead_letters, "a", encoding="utf-8") as file:
            file.write(json.dumps(letter | {"event": json.loads(delivery.payload)}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._state.remove_delivery(delivery)
        self._on_problem(f"{hook.name}: given up after {tries} tries ({error}); the event is in {self.dead_letters}")


class DeliveryThread(threading.Thread):
    """Send events beside the watch, which a slow hook does not hold up; with a thread for each, no other hook either.

    Args:
        open_state: opens a state for this thread.
        make_outbox: makes the outbox of a state.
        seconds: between looks at what is due.
    """

    def __init__(
        self,
        open_state: Callable[[], AbstractContextManager[WatchState]],
        make_outbox: Callable[[WatchState], Outbox],
        seconds: float = 0.5,
    ) -> None:
        super().__init__(name="deliveries", daemon=True)  # what is not sent when the process ends is sent again
        self._open_state, self._make_outbox, self._seconds = open_state, make_outbox, seconds
        self._stopped = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        """Send until `stop`."""
        try:
            with self._open_state() as state:
                outbox = self._make_outbox(state)
                while not self._stopped.is_set():
                    outbox.send_due(self._stopped.is_set)
                    self._stopped.wait(self._seconds)
        except Exception as error:  # for `check`
            self._error = error

    def check(self) -> None:
        """Raise what has ended the thread, if anything has."""
        if self._error is not None:
            raise self._error

    def stop(self, seconds: float = 5.0) -> None:
        """End after the event that is being sent, or after so many seconds."""
        self._stopped.set()
        self.join(seconds)


def _delay(failures: int) -> float:
    """Seconds until the next try after so many failures."""
    return min(_FIRST_DELAY * 2.0 ** min(failures - 1, 60), _LONGEST_DELAY)
