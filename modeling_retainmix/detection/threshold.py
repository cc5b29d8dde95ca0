"""Thresholds between normal and anomalous from the scores of normal clips alone, for clips of any length."""

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import stats

from modeling_retainmix.detection.windows import Reduction
from modeling_retainmix.user_warnings import warn

ThresholdMethod = Literal["quantile", "gamma"]

TABLE_RATE = 0.1
TABLE_WINDOWS = tuple(2**power for power in range(11))  # up to 85 minutes of windows that overlap by half of 10 s

_TAIL_SHARE, _LEAST_TAIL = 0.2, 5  # of the recordings, those whose scores measure the tail

_LEAST_RATE = 1e-300


class CalibrationScores(NamedTuple):
    """Scores of normal stretches of sound, from which the threshold of a clip is taken.

    Attributes:
        values: [n] scores of stretches.
        recording: [n] the recording of each.
        num_stretches: so many stretches, one after another, make up the clip that the threshold is for; its score is
            their largest.
    """

    values: np.ndarray
    recording: np.ndarray
    num_stretches: float


def calibration_scores(
    window_scores: np.ndarray,
    recording_index: np.ndarray,
    is_target_domain: np.ndarray,
    num_windows: int = 1,
    reduce: Reduction = "max",
    unit: np.ndarray | None = None,
    least_units: int = 1,
) -> CalibrationScores:
    """Score stretches of the references that are as long as a clip, or as long as the references allow.

    A stretch is a run of successive windows of one recording, so that the dependence of its windows is in its score.
    It has as many windows as the clip, but no more than half of the recordings of each domain have, and no more than
    leaves `least_units` units; recordings with fewer windows are left out.

    Args:
        window_scores: [n] of the references' windows, each from references without its recording.
        recording_index: [n] the recording of each window, ascending.
        is_target_domain: [n] bool, the domain of each window.
        num_windows: of the clip that a threshold is needed for.
        reduce: how windows make the score of a clip, see `Windows`.
        unit: [n] what the recording of each window belongs to, such as a session; None: each is one of its own.
        least_units: how many units have to have a stretch, or all where there are fewer.
    """
    if reduce == "first":
        num_windows = 1
    recordings, starts, counts = np.unique(recording_index, return_index=True, return_counts=True)
    domains = is_target_domain[starts]
    length = min(num_windows, *(int(np.median(counts[domains == domain])) for domain in np.unique(domains)))
    units = recordings if unit is None else unit[starts]
    longest = sorted((int(counts[units == one].max()) for one in np.unique(units)), reverse=True)
    length = min(length, longest[min(least_units, len(longest)) - 1])
    values, recording = [], []
    for index, start, count in zip(recordings, starts, counts, strict=True):
        if count < length:
            continue
        runs = np.lib.stride_tricks.sliding_window_view(window_scores[start : start + count], length)
        values.append(runs.mean(axis=1) if reduce == "mean" else runs.max(axis=1))
        recording.append(np.full(len(runs), index))
    # A mean over more windows varies less than one over the stretch, whose threshold errs on the safe side.
    num_stretches = 1.0 if reduce == "mean" else num_windows / length
    return CalibrationScores(np.concatenate(values), np.concatenate(recording), num_stretches)


def score_threshold(
    reference_scores: np.ndarray,
    false_alarm_rate: float = 0.1,
    method: ThresholdMethod = "quantile",
    lower_bound: float = 0.0,
    recording: np.ndarray | None = None,
    num_stretches: float = 1.0,
    unit: str = "recordings",
) -> float:
    """Return the score above which a clip is called anomalous.

    Args:
        reference_scores: [n] scores of normal clips that the detector did not see when it scored them.
        false_alarm_rate: share of normal clips that may be called anomalous, between 0 and 1.
        method: "quantile" takes the score of rank ceil((n + 1) * (1 - rate)), at most n: a further normal clip exceeds
            it with at most that probability if n >= 1 / rate - 1 (the rank of split conformal prediction; several
            scores from one recording share the weight of one, as in Lee, Barber and Willett, "Distribution-free
            inference with hierarchical data"). "gamma" fits a gamma distribution by maximum likelihood, as the DCASE
            baselines do, and takes its quantile.
        lower_bound: no score falls below it; the gamma distribution begins there.
        recording: [n] the recording of each score; None: each is from another one.
        num_stretches: the clip is so many times as long as those of `reference_scores`, and its score the largest of
            its parts. Each part then gets the rate 1 - (1 - rate)^(1 / num_stretches): exact for independent parts,
            and on the safe side for parts of one recording, which are alike. Where "quantile" has too few scores for
            that rate, it goes on from the largest ones as a fitted gamma distribution does.
        unit: what the warning calls that of which each has one weight, "recordings" or "groups".

    Warns:
        UserWarning: "quantile" of fewer scores than the rate of a clip needs.

    Raises:
        ValueError: no scores, scores that do not vary (gamma), a rate out of range or an unknown method.
    """
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate={false_alarm_rate} is not a valid rate: use a value between 0 and 1")
    if len(reference_scores) == 0:
        raise ValueError("no reference scores: fit the detector on normal clips")
    rate = false_alarm_rate if num_stretches == 1 else float(-np.expm1(np.log1p(-false_alarm_rate) / num_stretches))
    if method == "quantile":
        return _quantile(reference_scores, false_alarm_rate, rate, recording, lower_bound, unit)
    if method != "gamma":
        raise ValueError(f"method={method!r} is not a valid threshold method: use 'quantile' or 'gamma'")
    tail = _gamma_tail(reference_scores, lower_bound)
    if tail is None:
        raise ValueError(
            f"{len(np.unique(reference_scores))} different reference scores are too few for a gamma fit: use "
            "method='quantile'"
        )
    return tail(rate)


def needed_units(rate: float) -> int:
    """How many normal recordings, or groups of them, a rate of false alarms needs: 1 / rate - 1."""
    return int(np.ceil(1 / rate - 1 - 1e-9))


def describe_need(rate: float, count: int, unit: str) -> str:
    """Say that a rate needs more recordings or groups than there are, and what rate these bear."""
    needed, noun = needed_units(rate), unit_noun(unit)
    bear = "1 bears" if count == 1 else f"{count} bear"
    return (
        f"too few references for false_alarm_rate={rate:g}: {100 * rate:.3g} % needs {needed} "
        f"{noun}{'' if needed == 1 else 's'}, and {bear} {100 / (count + 1):.3g} %: the threshold comes from the "
        f"largest of their scores, add {noun}s or raise the rate"
    )


def unit_noun(unit: str) -> str:
    """Return what people call one of "groups" or "recordings": a group is a session."""
    return {"groups": "session", "recordings": "recording"}[unit]


def threshold_table(threshold: Callable[..., float], num_units: Callable[[float], int]) -> dict[str, Any] | None:
    """Tabulate the thresholds of a detector by the number of windows of a clip.

    Args:
        threshold: `AnomalyDetector.threshold`.
        num_units: how many recordings, or groups of them, thresholds of a rate come from.

    Returns:
        `false_alarm_rate`, 10 % or the smallest that the references bear, `method`, and
        `by_windows` {number of windows, as text: threshold}; for a number between
        two of them take the larger one's. None: the detector has no thresholds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of too few references, which a user of thresholds is warned of
        try:
            rate = max(TABLE_RATE, 1 / (num_units(TABLE_RATE) + 1))
            table = {str(count): threshold(rate, "quantile", count) for count in TABLE_WINDOWS}
        except ValueError:  # too few references to leave one out, or scores without a fixed scale
            return None
    return {"false_alarm_rate": rate, "method": "quantile", "by_windows": table}


def _gamma_tail(scores: np.ndarray, lower_bound: float) -> Callable[[float], float] | None:
    """Fit a gamma distribution: the score that a share of scores exceeds. None: too few different scores."""
    # A score at the very beginning of the distribution has no likelihood.
    above = scores[scores > lower_bound]
    if len(above) < 2 or np.ptp(above) == 0:
        return None
    shape, location, scale = stats.gamma.fit(above, floc=lower_bound)
    return lambda rate: float(stats.gamma.isf(rate, shape, location, scale))


def _quantile(
    scores: np.ndarray, clip_rate: float, rate: float, recording: np.ndarray | None, lower_bound: float, unit: str
) -> float:
    """Return the weighted quantile of scores at `rate`; the recordings' weights and that of a new one add up to 1."""
    _, index, counts = np.unique(
        np.arange(len(scores)) if recording is None else recording, return_inverse=True, return_counts=True
    )
    num_recordings = len(counts)
    if num_recordings < needed_units(clip_rate):
        warn(describe_need(clip_rate, num_recordings, unit))
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    share = np.cumsum(1 / counts[index[order]]) / (num_recordings + 1)  # of clips that score no higher
    reached = share >= 1 - rate - 1e-9
    if reached.any():
        return float(ordered[reached.argmax()])
    if rate == clip_rate or num_recordings == 1:
        return float(ordered[-1])
    # From the score that a fifth of the recordings exceed, go on as a gamma distribution does. How fast scores fall
    # off is known from these k recordings only. For exponential scores, a further one then follows Lomax's
    # distribution, (1 + y / k)^-k in place of exp(-y): so the tail is read at exp(-y).
    num_tail = min(num_recordings - 1, max(_LEAST_TAIL, round(_TAIL_SHARE * num_recordings)))
    base = ordered[(share * (num_recordings + 1) >= num_recordings - num_tail - 1e-9).argmax()]
    tail = _gamma_tail(scores, lower_bound)
    if tail is None:
        return float(ordered[-1])
    tail_share = num_tail / num_recordings
    distance = num_tail * np.expm1(np.log(tail_share / rate) / num_tail)
    start, end = tail(tail_share), tail(max(tail_share * float(np.exp(-distance)), _LEAST_RATE))
    if not start > lower_bound:
        return float(ordered[-1])
    return float(max(lower_bound + (base - lower_bound) * (end - lower_bound) / (start - lower_bound), ordered[-1]))
