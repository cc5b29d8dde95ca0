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
    lower_bound: float = 0.0,
) -> float:
    """Return the score above which a clip is called anomalous.

    Args:
        reference_scores: [n] scores of normal clips that the detector did not see when it scored them.
        false_alarm_rate: share of normal clips that may be called anomalous, between 0 and 1.
        method: "quantile" takes the score of rank ceil((n + 1) * (1 - rate)), at most n: a further normal clip exceeds
            it with at most that probability if n >= 1 / rate - 1 (the rank of split conformal prediction).
            "gamma" fits a gamma distribution by maximum likelihood, as the DCASE baselines do, and takes its quantile.
        lower_bound: no score falls below it; the gamma distribution begins there.

    Warns:
        UserWarning: "quantile" of fewer scores than the rate needs.

    Raises:
        ValueError: no scores, scores that do not vary (gamma), a rate out of range or an unknown method.
    """
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate={false_alarm_rate} is not a valid rate: use a value between 0 and 1")
    if len(reference_scores) == 0:
        raise ValueError("no reference scores: fit the detector on normal clips")
    if method == "quantile":
        needed = int(np.ceil(1 / false_alarm_rate - 1 - 1e-9))
        if len(reference_scores) < needed:
            warnings.warn(
                f"too few references for false_alarm_rate={false_alarm_rate:g}, {len(reference_scores)} of the "
                f"{needed} it needs: the threshold is the largest of their scores, add references or raise the rate",
                stacklevel=3,
            )
        rank = int(np.ceil((len(reference_scores) + 1) * (1 - false_alarm_rate) - 1e-9))
        return float(np.sort(reference_scores)[min(rank, len(reference_scores)) - 1])
    if method != "gamma":
        raise ValueError(f"method={method!r} is not a valid threshold method: use 'quantile' or 'gamma'")
    # A score at the very beginning of the distribution, such as that of a doubled recording, has no likelihood.
    above = reference_scores[reference_scores > lower_bound]
    if len(above) < 2 or np.ptp(above) == 0:
        raise ValueError(f"{len(above)} different reference scores are too few for a gamma fit: use method='quantile'")
    shape, location, scale = stats.gamma.fit(above, floc=lower_bound)
    return float(stats.gamma.ppf(1 - false_alarm_rate, shape, location, scale))
