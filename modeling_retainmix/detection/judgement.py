"""All that is decided of a clip in one reading, and what the decisions rest on."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.threshold import needed_units, unit_noun
from modeling_retainmix.detection.windows import Reduction


class Judgement(NamedTuple):
    """What a detector decides of one clip.

    Attributes:
        name: of the clip.
        score: higher is more anomalous; NaN for a clip that cannot be read.
        p_value: how likely a normal clip would score as high; NaN without a score, or with one group of references.
        threshold: for the clip's number of windows; NaN likewise.
        is_anomalous: the score is above the threshold. None: no verdict, because there is no score, or because the
            references are too few for the rate of false alarms.
        num_windows: so many windows took part.
        start_seconds: where the window with the highest score begins; NaN without a score.
    """

    name: str
    score: float
    p_value: float
    threshold: float
    is_anomalous: bool | None
    num_windows: int
    start_seconds: float


@dataclass(frozen=True)
class ThresholdBasis:
    """The normal recordings that thresholds for a rate of false alarms come from.

    Attributes:
        false_alarm_rate: the rate.
        unit: what has one weight, "recordings" or "groups".
        num_units: how many there are.
        normal: the scores of their windows, each from references without its unit; None: there is one unit only.
        reduce: how windows make the score of a clip.
    """

    false_alarm_rate: float
    unit: str
    num_units: int
    normal: NormalScores | None
    reduce: Reduction

    @property
    def noun(self) -> str:
        """What people call one unit, "session" or "recording"."""
        return unit_noun(self.unit)

    @property
    def num_missing(self) -> int:
        """How many more units the rate needs; 0: they suffice."""
        return max(needed_units(self.false_alarm_rate) - self.num_units, 0)

    def scores(self, num_windows: int = 1) -> np.ndarray:
        """Return the scores of normal stretches as long as a clip of so many windows, [stretches] float64, sorted.

        Of shorter normal recordings the stretches are as long as these.
        """
        if self.normal is None:
            return np.empty(0)
        return np.sort(self.normal.stretches(num_windows, self.reduce, self.false_alarm_rate).values)
