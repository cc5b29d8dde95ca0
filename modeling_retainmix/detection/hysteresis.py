"""One alarm from a sequence of decisions: raised by several anomalous clips, and cleared by a quiet time alone."""

from collections import deque
from collections.abc import Iterable

import numpy as np


class Hysteresis:
    """An alarm that is raised when m of the last n clips are anomalous, and stays until few of them are.

    Single false alarms pass unnoticed, and an alarm does not flicker. If false alarms were independent, of rate r, the
    alarm would be raised by chance with the binomial probability of m or more among n; those of one session are not.

    Args:
        raise_at: m, of the last n clips.
        of_last: n.
        clear_at: the alarm is cleared when at most so many of the last n clips are anomalous; below m.

    Attributes:
        is_raised: whether the alarm is on now.

    Raises:
        ValueError: numbers that are not 0 <= clear_at < raise_at <= of_last.
    """

    def __init__(self, raise_at: int, of_last: int, clear_at: int = 0) -> None:
        if not 0 <= clear_at < raise_at <= of_last:
            raise ValueError(
                f"raise_at={raise_at}, of_last={of_last}, clear_at={clear_at}: use 0 <= clear_at < raise_at <= of_last"
            )
        self.is_raised = False
        self._raise_at, self._clear_at = raise_at, clear_at
        self._recent: deque[bool] = deque(maxlen=of_last)

    def update(self, is_anomalous: bool | None) -> bool:
        """Take the next decision and return whether the alarm is on; None, a clip that cannot be read, is left out."""
        if is_anomalous is None:
            return self.is_raised
        self._recent.append(bool(is_anomalous))
        count = sum(self._recent)
        if count >= self._raise_at:
            self.is_raised = True
        elif count <= self._clear_at:
            self.is_raised = False
        return self.is_raised


def held_alarms(decisions: Iterable[bool | None], raise_at: int, of_last: int, clear_at: int = 0) -> np.ndarray:
    """Return whether the alarm of `Hysteresis` is on after each decision: [clips] bool; arguments and errors as there.

    Args:
        decisions: of `AnomalyDetector.decide`, in the order of time.
    """
    alarm = Hysteresis(raise_at, of_last, clear_at)
    return np.asarray([alarm.update(decision) for decision in decisions], dtype=bool)
