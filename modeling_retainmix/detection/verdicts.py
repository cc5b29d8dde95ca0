"""Verdicts on scores as they come, and on files in their order, so that a long run shows and keeps what is done."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from modeling_retainmix.detection.conformal import SMALLEST_P, normal_p_values
from modeling_retainmix.detection.deciding_detector import DecidingDetector
from modeling_retainmix.detection.threshold import ThresholdMethod
from modeling_retainmix.detection.windows import ClipScore


class Verdict(NamedTuple):
    """What follows from a score.

    Attributes:
        p_value: how likely a normal clip would score as high; None: there is one unit of references only.
        threshold: for the clip's number of windows; None: the references are too few for the rate.
        is_anomalous: the score is above the threshold; None: no verdict, likewise.
    """

    p_value: float | None
    threshold: float | None
    is_anomalous: bool | None


class FileScore(NamedTuple):
    """A file and what was found of it; without a score there is an error, which names the file."""

    file: Path
    score: float | None
    verdict: Verdict
    error: str | None


NO_VERDICT = Verdict(None, None, None)


class Verdicts:
    """Thresholds, p-values and verdicts of a detector's scores at one rate of false alarms.

    Args:
        detector: with references.
        false_alarm_rate: share of normal clips that may be called anomalous.
        method: of `AnomalyDetector.threshold`; "gamma" has a verdict however few the references are, from two up.

    Attributes:
        num_missing: how many more recordings, or groups of them, a verdict needs; 0: there are enough.
        unit: "recordings" or "groups".

    Raises:
        ValueError: no references, a rate that is not between 0 and 1, or `normalization="test"`.
    """

    def __init__(
        self, detector: DecidingDetector, false_alarm_rate: float = 0.1, method: ThresholdMethod = "quantile"
    ) -> None:
        basis = detector.threshold_basis(false_alarm_rate)
        self.unit = basis.unit
        self.num_missing = basis.num_missing
        if method == "gamma":
            self.num_missing = max(2 - basis.num_units, 0)
        self._normal = detector.threshold_basis(SMALLEST_P).normal  # as `AnomalyDetector.p_values`
        self._reduce = basis.reduce

        @cache
        def threshold(num_windows: int) -> float:
            return detector.threshold(false_alarm_rate, method, num_windows)

        self._threshold = threshold

    def of(self, score: float, num_windows: int) -> Verdict:
        """Return the verdict of a clip by its score and its number of windows."""
        if self._normal is None:
            return NO_VERDICT
        (p_value,) = normal_p_values(np.asarray([score]), self._normal, num_windows, self._reduce, SMALLEST_P)
        if self.num_missing:
            return Verdict(float(p_value), None, None)
        threshold = self._threshold(num_windows)
        return Verdict(float(p_value), threshold, score > threshold)


def judge_files(
    detector: DecidingDetector,
    files: Sequence[Path],
    verdicts: Verdicts,
    take: Callable[[FileScore], None],
    hold: Callable[[], AbstractContextManager[None]] = nullcontext,
    **microphones: Any,
) -> None:
    """Score files and hand over each, in their order, as soon as it and those before it are done.

    Args:
        detector: with references.
        files: recordings; one that cannot be read has an error in place of a score.
        verdicts: of this detector.
        take: called with each file's score. Where the call is stopped (`KeyboardInterrupt`), those that wait for an
            earlier one come too.
        hold: a context manager that puts the stop off, for steps that belong together.
        microphones: `channel`, `far` and `far_channel` of `AnomalyDetector.score`.

    Raises:
        ValueError: as `AnomalyDetector.score`.
    """
    waiting: dict[int, FileScore] = {}
    errors: list[str] = []
    num_done = 0

    def collect(clip: ClipScore) -> None:
        nonlocal num_done
        file = files[clip.position]
        if clip.num_windows:
            found = FileScore(file, clip.score, verdicts.of(clip.score, clip.num_windows), None)
        else:
            found = FileScore(file, None, NO_VERDICT, errors[-1])  # told just before the clip without a score is
        with hold():
            waiting[clip.position] = found
            while num_done in waiting:
                take(waiting.pop(num_done))
                num_done += 1

    try:
        detector.score(list(files), on_error=lambda error: errors.append(str(error)), on_score=collect, **microphones)
    except KeyboardInterrupt:
        for position in sorted(waiting):
            take(waiting[position])
        raise
