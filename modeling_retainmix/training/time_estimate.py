"""How long a training will take, said once it is known: after the first steps."""

import time
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerCallback

_MEASURED_STEPS = 4  # after the first one, which also compiles, allocates and fills caches


class TimeEstimate(TrainerCallback):
    """Print how long the rest of the training takes, from the time of the steps after the first.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._done = 0
        self._begin = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._done = 0  # of this process: a resumed run has steps of another one behind it

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._done += 1
        if self._done == 1:
            self._begin = self._clock()
        if self._done == 1 + _MEASURED_STEPS and state.is_world_process_zero:
            seconds = (self._clock() - self._begin) / _MEASURED_STEPS
            steps = state.max_steps - state.global_step
            # Above the progress bar, not through it
            tqdm.write(f"training: {steps} more steps of {seconds:.2g} s each take {duration_text(steps * seconds)}")


def duration_text(seconds: float) -> str:
    """Return a duration as people say it, rounded: "about 40 seconds", "about 12 minutes", "about 3.5 hours"."""
    if seconds < 90:
        return f"about {max(round(seconds), 1)} seconds"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
