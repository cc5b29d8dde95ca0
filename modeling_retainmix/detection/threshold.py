"""Thresholds between normal and anomalous from the scores of normal clips alone."""

import warnings
from typing import Literal

import numpy as np
from scipy import stats

ThresholdMethod = Literal["quantile", "gamma"]


def score_threshold(
    reference_scores: np.ndarray,
    false_alarm_rate: float = 0.1,
    method: ThresholdMethod = "quantile",
    lowest_score: float = 0.0,
) -> float:
    """The score above which a clip is called anomalous.

    Args:
        reference_scores: [n] scores of normal clips that the detector did not see when it scored them.
        false_alarm_rate: share of normal clips that may be called anomalous, between 0 and 1.
        method: "quantile" takes the score of rank ceil((n + 1) * (1 - rate)), at most n: a further normal clip exceeds
            it with at most that probability where n >= 1 / rate - 1 (the rank of split conformal prediction).
            "gamma" fits a gamma distribution by maximum likelihood, as the DCASE baselines do, and takes its quantile.
        lowest_score: the smallest value that a score can have; the gamma distribution begins there.

    Warns:
        UserWarning: "quantile" of fewer scores than that, which cannot bear out the rate.

    Raises:
        ValueError: no scores, scores that do not vary (gamma), a rate out of range or an unknown method.
    """
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate={false_alarm_rate} is no rate: use a value between 0 and 1")
    if len(reference_scores) == 0:
        raise ValueError("there are no reference scores: fit the detector on normal clips")
    if method == "quantile":
        needed = int(np.ceil(1 / false_alarm_rate - 1 - 1e-9))
        if len(reference_scores) < needed:
            warnings.warn(
                f"false_alarm_rate={false_alarm_rate:g} takes {needed} references to bear it out, of "
                f"{len(reference_scores)}: the threshold is the largest of their scores",
                stacklevel=3,
            )
        rank = int(np.ceil((len(reference_scores) + 1) * (1 - false_alarm_rate) - 1e-9))
        return float(np.sort(reference_scores)[min(rank, len(reference_scores)) - 1])
    if method != "gamma":
        raise ValueError(f"threshold method {method!r} is unknown: use 'quantile' or 'gamma'")
    # A score at the very beginning of the distribution, such as that of a doubled recording, has no likelihood.
    above = reference_scores[reference_scores > lowest_score]
    if len(above) < 2 or np.ptp(above) == 0:
        raise ValueError(f"{len(above)} different reference scores are too few for a gamma fit: use method='quantile'")
    shape, location, scale = stats.gamma.fit(above, floc=lowest_score)
    return float(stats.gamma.ppf(1 - false_alarm_rate, shape, location, scale))
