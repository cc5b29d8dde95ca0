"""Percentile bootstrap of official scores: how far a figure would move with other test clips.

Test clips are drawn with replacement within machine type x domain x label, as many as there are. One draw serves all
subsets, SNRs and encoders of a benchmark, so that differences between rows are paired. Reference clips and training
are not drawn again: an interval says nothing of them, the spread over seeds does.

A draw is a vector of counts, how often each clip comes; areas under ROC curves follow from sums of counts along the
clips in the order of their scores, for all draws at once.
"""

import numpy as np

from modeling_retainmix.evaluation.scores import ClipScores

MAX_FPR = 0.1  # of the pAUC
LEVEL = 0.95


def official_score_draws(
    clips: ClipScores, benchmark: str, num_draws: int = 1000, seed: int = 0
) -> dict[tuple[str, float], np.ndarray]:
    """Official scores of bootstrap draws (`BenchmarkScores.official`).

    Args:
        clips: scores of the test clips.
        benchmark: name of the benchmark: equal names get the same draws, others independent ones.
        num_draws: number of draws.
        seed: of the draws.

    Returns:
        {(subset, snr_db): [num_draws] fractions in [0, 1]}.
    """
    counts = draw_counts(clips, benchmark, num_draws, seed)
    return {cell: official_scores(scores, clips, counts) for cell, scores in clips.scores.items()}


def draw_counts(clips: ClipScores, benchmark: str, num_draws: int, seed: int) -> np.ndarray:
    """How often each clip comes in each draw, [num_draws, clips] float64."""
    counts = np.zeros((num_draws, len(clips.machine_types)))
    for machine_type in np.unique(clips.machine_types).tolist():
        generator = np.random.default_rng([seed, *benchmark.encode(), *machine_type.encode()])
        for is_target in (False, True):
            for is_anomaly in (False, True):
                stratum = np.flatnonzero(
                    (clips.machine_types == machine_type)
                    & (clips.is_target == is_target)
                    & (clips.is_anomaly == is_anomaly)
                )
                if len(stratum):
                    shares = np.full(len(stratum), 1 / len(stratum))
                    counts[:, stratum] = generator.multinomial(len(stratum), shares, size=num_draws)
    return counts


def official_scores(scores: np.ndarray, clips: ClipScores, counts: np.ndarray) -> np.ndarray:
    """Official scores of one cell by the rules of the clips' year (`dcase_score`).

    Args:
        scores: [clips] of the cell.
        clips: what the clips are.
        counts: [draws, clips] how often each comes.

    Returns:
        [draws] fractions in [0, 1].
    """
    domains = [clips.is_target == domain for domain in np.unique(clips.is_target)]
    if clips.rules == 2020:
        of_auc = of_pauc = [np.ones_like(clips.is_target)]
    elif clips.rules == 2021:
        of_auc = of_pauc = domains
    else:  # anomalies of both domains are positives; where tests are of one domain, its AUC is that of all
        of_auc, of_pauc = [clips.is_anomaly | part for part in domains], [np.ones_like(clips.is_target)]
    figures = []
    for machine_type in np.unique(clips.machine_types):
        for parts, max_fpr in ((of_auc, 1.0), (of_pauc, MAX_FPR)):
            for part in parts:
                rows = part & (clips.machine_types == machine_type)
                area = roc_area(scores[rows], clips.is_anomaly[rows], counts[:, rows], max_fpr)
                least = max_fpr**2 / 2
                figures.append(area if max_fpr == 1 else (1 + (area - least) / (max_fpr - least)) / 2)  # McClish
    return np.mean(figures, axis=0) if clips.rules == 2020 else harmonic_mean(np.stack(figures))


def roc_area(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray, max_fpr: float = 1.0) -> np.ndarray:
    """Areas under ROC curves from a false positive rate of 0 to `max_fpr`.

    Args:
        scores: [clips], higher means more anomalous; ties are diagonal segments of the curve.
        labels: [clips] bool, anomalous or not.
        counts: [draws, clips] how often each clip comes; no draw may lack a class.
        max_fpr: upper end, in (0, 1].

    Returns:
        [draws] areas, at most `max_fpr`.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, True)  # the last clip of each group of equal scores
    rates = []
    for positive in (False, True):
        passed = np.cumsum(counts[:, order] * (labels[order] == positive), axis=1)
        rates.append(np.pad(passed[:, ends] / passed[:, -1:], ((0, 0), (1, 0))))
    fpr, tpr = rates
    left, width = fpr[:, :-1], np.diff(fpr, axis=1)
    # Each segment is cut at max_fpr: what is left of its width, and its height there.
    kept = np.clip(max_fpr - left, 0, width)
    share = np.divide(kept, width, out=np.zeros_like(kept), where=width > 0)
    rise = np.diff(tpr, axis=1)
    return (kept * (tpr[:, :-1] + share * rise / 2)).sum(axis=1)


def harmonic_mean(figures: np.ndarray) -> np.ndarray:
    """Over the first axis, values clipped from below at the float64 epsilon as in `dcase_score`."""
    return len(figures) / (1 / np.maximum(figures, np.finfo(np.float64).eps)).sum(axis=0)


def interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of draws [num_draws]: lower and upper end."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
