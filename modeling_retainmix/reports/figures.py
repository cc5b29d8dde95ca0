"""Geometry of the report's figures: places in percent of the width, so that a figure fits any screen."""

import math
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from modeling_retainmix.reports.findings import Detail, Findings
from modeling_retainmix.reports.spectrogram import frequency_share

NUM_BARS = 30
MOST_TICKS = 200  # of references on a strip; of more, so many quantiles stand for all
MARKED_EVENTS = 10

_LOG_SPREAD = 8.0  # from which scores of one sign are drawn on a logarithmic axis
_MARGIN = 0.04  # of the axis at both ends
_FREQUENCIES = (125, 250, 500, 1000, 2000, 4000)  # Hz, ticks


class Tick(NamedTuple):
    """A mark of an axis: where it is, in percent of the axis, and what stands beside it."""

    place: float
    label: str


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: left edge and width in percent of the axis, its count, and whether it is of anomalies."""

    left: float
    width: float
    height: int
    is_anomalous: bool


@dataclass(frozen=True)
class ScoreAxis:
    """The axis on which scores are drawn.

    Attributes:
        low, high: scores at its ends, or their logarithms.
        is_logarithmic: equal steps are equal ratios.
    """

    low: float
    high: float
    is_logarithmic: bool

    @classmethod
    def of(cls, values: np.ndarray) -> "ScoreAxis":
        """Make an axis for scores [n], which is logarithmic where they are positive and differ widely."""
        low, high = float(values.min()), float(values.max())
        is_logarithmic = low > 0 and high / low > _LOG_SPREAD
        if is_logarithmic:
            low, high = math.log10(low), math.log10(high)
        margin = _MARGIN * (high - low) or 0.5 * abs(high) or 0.5
        return cls(low - margin, high + margin, is_logarithmic)

    def place(self, score: float) -> float:
        """Return where a score lies, in percent of the axis."""
        value = math.log10(score) if self.is_logarithmic else score
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def edges(self) -> np.ndarray:
        """Return the scores at the edges of the bars, [bars + 1]."""
        edges = np.linspace(self.low, self.high, NUM_BARS + 1)
        return 10**edges if self.is_logarithmic else edges

    def ticks(self) -> list[Tick]:
        """Return marks at round scores."""
        if not self.is_logarithmic:
            return [Tick(self.place(value), f"{value:.6g}") for value in round_values(self.low, self.high, 6)]
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        steps: tuple[int, ...] = (1, 2, 5) if self.high - self.low < 2 else (1,)
        values = [step * 10.0**power for power in powers for step in steps]
        return [Tick(self.place(v), f"{v:g}") for v in values if self.low <= math.log10(v) <= self.high]


@dataclass(frozen=True)
class Histogram:
    """How scores are distributed: references upward, recordings of the report downward.

    Attributes:
        references, recordings: bars that are not empty.
        threshold: in percent of the axis; None: there is none.
        ticks: of the axis.
    """

    references: list[Bar]
    recordings: list[Bar]
    threshold: float | None
    ticks: list[Tick]

    @property
    def highest(self) -> tuple[int, int]:
        """The largest counts of references and of recordings, at least 1."""
        above, below = (max([bar.height for bar in bars], default=1) for bars in (self.references, self.recordings))
        return above, below


def histogram(
    axis: ScoreAxis, references: np.ndarray, recordings: np.ndarray, is_anomalous: np.ndarray, threshold: float
) -> Histogram:
    """Count scores.

    Args:
        axis: which holds all scores.
        references: [n] scores of references, each left out.
        recordings: [m] scores of the report's recordings.
        is_anomalous: [m] bool; a bar is of anomalies if one of its recordings is.
        threshold: NaN: there is none.
    """
    edges = axis.edges()
    anomalous_bars = np.histogram(recordings[is_anomalous], edges)[0] > 0
    return Histogram(
        _bars(references, edges, np.zeros(NUM_BARS, dtype=bool)),
        _bars(recordings, edges, anomalous_bars),
        None if math.isnan(threshold) else axis.place(threshold),
        axis.ticks(),
    )


def reference_places(axis: ScoreAxis, references: np.ndarray) -> list[float]:
    """Return where the scores of references [n] lie on a strip, in percent."""
    if len(references) > MOST_TICKS:
        references = np.quantile(references, np.linspace(0, 1, MOST_TICKS))
    return sorted({axis.place(score) for score in references.tolist()})


class Distribution:
    """Scores of references and recordings on one axis.

    Args:
        findings: whose scores are drawn.

    Attributes:
        axis: holds all scores and thresholds.
        num_windows: of most recordings; the histogram shows what these are compared with.
        num_references: scores in the histogram's upper half.
        thresholds: {number of windows: threshold}; NaN where there is no verdict.
        histogram: of the scores.
    """

    def __init__(self, findings: Findings) -> None:
        judgements = [recording.judgement for recording in findings.recordings]
        counts = [judgement.num_windows for judgement in judgements]
        self.num_windows = max(set(counts), key=counts.count)
        self._references = cache(findings.basis.scores)
        scores = np.array([judgement.score for judgement in judgements])
        is_anomalous = np.array([judgement.is_anomalous is True for judgement in judgements])
        self.thresholds = {
            judgement.num_windows: judgement.threshold if findings.has_verdicts else math.nan
            for judgement in judgements
        }
        known = [value for value in self.thresholds.values() if not np.isnan(value)]
        references = [self._references(count) for count in self.thresholds]
        self.axis = ScoreAxis.of(np.concatenate([scores, known, *references]))
        common = self._references(self.num_windows)
        self.histogram = histogram(self.axis, common, scores, is_anomalous, self.thresholds[self.num_windows])
        self.num_references = len(common)

    def reference_places(self, num_windows: int) -> list[float]:
        """Return where the references' scores lie that clips of so many windows are compared with, in percent."""
        return reference_places(self.axis, self._references(num_windows))

    def threshold_place(self, num_windows: int) -> float | None:
        """Return where the threshold of clips of so many windows lies, in percent; None: there is none."""
        threshold = self.thresholds[num_windows]
        return None if math.isnan(threshold) else self.axis.place(threshold)


class Box(NamedTuple):
    """An event on a picture, in percent of it: left, top, width, height; and whether it has more energy."""

    number: int
    left: float
    top: float
    width: float
    height: float
    is_more: bool


def event_boxes(detail: Detail, seconds: float) -> list[Box]:
    """Place the strongest events on the picture of a recording; those outside of the excerpt have no box.

    Args:
        detail: of the recording.
        seconds: that the picture spans, from the start of the excerpt.
    """
    boxes = []
    for number, event in enumerate(detail.events[:MARKED_EVENTS], 1):
        left, right = (
            min(max((at - detail.start_seconds) / seconds, 0), 1) for at in (event.start_seconds, event.end_seconds)
        )
        if left < right:
            bottom, top = frequency_share(event.low_hz), frequency_share(event.high_hz)
            x, y, width, height = (round(100 * share, 2) for share in (left, 1 - top, right - left, top - bottom))
            boxes.append(Box(number, x, y, width, height, event.strength > 0))
    return boxes


def time_ticks(start_seconds: float, seconds: float) -> list[Tick]:
    """Return marks at round times of a picture that begins at `start_seconds`."""
    values = round_values(start_seconds, start_seconds + seconds, 6)
    return [Tick(round(100 * (value - start_seconds) / seconds, 2), f"{value:.6g}") for value in values]


def frequency_ticks() -> list[Tick]:
    """Return marks at octaves, in percent from the top, in Hz and kHz."""
    return [
        Tick(round(100 * (1 - frequency_share(hertz)), 2), f"{hertz} Hz" if hertz < 1000 else f"{hertz // 1000} kHz")
        for hertz in _FREQUENCIES
    ]


def round_values(low: float, high: float, most: int) -> list[float]:
    """Return at most so many values between two others, apart by 1, 2 or 5 times a power of ten."""
    least = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(step * power for step in (1, 2, 5, 10, 20) if step * power >= least * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) + 0.0 for index in range(first, last + 1)][:most]


def _bars(scores: np.ndarray, edges: np.ndarray, is_anomalous: np.ndarray) -> list[Bar]:
    counts, width = np.histogram(scores, edges)[0], 100 / NUM_BARS
    return [
        Bar(round(index * width, 2), round(width, 2), int(counts[index]), bool(is_anomalous[index]))
        for index in np.flatnonzero(counts).tolist()
    ]
