"""Percentile bootstrap of official scores: how far a figure would move with other test clips.

Test clips are drawn with replacement within machine type x domain x label, each stratum keeping its size. One
replicate serves all subsets, SNRs and encoders of a benchmark, so that differences between rows are paired. Reference
clips and training are not drawn again: a confidence interval does not cover their variation, the spread over seeds
does.

A replicate is a vector of counts, how often each clip was drawn; areas under ROC curves follow from sums of counts
along the clips in the order of their scores, for all replicates at once.
"""

import numpy as np

from modeling_retainmix.evaluation.scores import ClipScores
from modeling_retainmix.metrics.dcase_score.dcase_score import harmonic_mean

MAX_FPR = 0.1  # of the pAUC
LEVEL = 0.95


def bootstrap_replicates(
    clips: ClipScores, benchmark: str, num_replicates: int = 1000, seed: int = 0
) -> dict[tuple[str, float], np.ndarray]:
    """Return official scores of bootstrap replicates (`BenchmarkScores.official`).

    Args:
        clips: scores of the test clips.
        benchmark: name of the benchmark: equal names get the same replicates, others independent ones.
        num_replicates: number of replicates.
        seed: of the draws.

    Returns:
        {(subset, snr_db): [num_replicates] fractions in [0, 1]}.
    """
    counts = replicate_counts(clips, benchmark, num_replicates, seed)
    return {cell: official_scores(scores, clips, counts) for cell, scores in clips.scores.items()}


def replicate_counts(clips: ClipScores, benchmark: str, num_replicates: int, seed: int) -> np.ndarray:
    """Draw clips: how often each clip comes in each replicate, [num_replicates, clips] float64."""
    counts = np.zeros((num_replicates, len(clips.machine_types)))
    for machine_type in np.unique(clips.machine_types).tolist():
        generator = np.random.default_rng([seed, *benchmark.encode(), *machine_type.encode()])
        for is_target_domain in (False, True):
            for is_anomaly in (False, True):
                stratum = np.flatnonzero(
                    (clips.machine_types == machine_type)
                    & (clips.is_target_domain == is_target_domain)
                    & (clips.is_anomaly == is_anomaly)
                )
                if len(stratum):
                    shares = np.full(len(stratum), 1 / len(stratum))
                    counts[:, stratum] = generator.multinomial(len(stratum), shares, size=num_replicates)
    return counts


def official_scores(scores: np.ndarray, clips: ClipScores, counts: np.ndarray) -> np.ndarray:
    """Return official scores of one cell by the rules of the clips' year (`dcase_score`).

    Args:
        scores: [clips] of the cell.
        clips: what the clips are.
        counts: [replicates, clips] how often each comes.

    Returns:
        [replicates] fractions in [0, 1].
    """
    domains = [clips.is_target_domain == domain for domain in np.unique(clips.is_target_domain)]
    if clips.rules == 2020:
        auc_parts = pauc_parts = [np.ones_like(clips.is_target_domain)]
    elif clips.rules == 2021:
        auc_parts = pauc_parts = domains
    else:  # anomalies of both domains are positives; if all tests are of one domain, its AUC is that of all
        auc_parts, pauc_parts = [clips.is_anomaly | part for part in domains], [np.ones_like(clips.is_target_domain)]
    figures = []
    for machine_type in np.unique(clips.machine_types):
        for parts, max_fpr in ((auc_parts, 1.0), (pauc_parts, MAX_FPR)):
            for part in parts:
                rows = part & (clips.machine_types == machine_type)
                area = roc_area(scores[rows], clips.is_anomaly[rows], counts[:, rows], max_fpr)
                least = max_fpr**2 / 2
                figures.append(area if max_fpr == 1 else (1 + (area - least) / (max_fpr - least)) / 2)  # McClish
    return np.mean(figures, axis=0) if clips.rules == 2020 else harmonic_mean(np.stack(figures))


def roc_area(scores: np.ndarray, labels: np.ndarray, counts: np.ndarray, max_fpr: float = 1.0) -> np.ndarray:
    """Return areas under ROC curves from a false positive rate of 0 to `max_fpr`.

    Args:
        scores: [clips], higher means more anomalous; ties are diagonal segments of the curve.
        labels: [clips] bool, anomalous or not.
        counts: [replicates, clips] how often each clip comes; no replicate may lack a class.
        max_fpr: upper end, in (0, 1].

    Returns:
        [replicates] areas, at most `max_fpr`.
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


def confidence_interval(replicates: np.ndarray) -> tuple[float, float]:
    """Return lower and upper end of the middle 95 % of replicates [num_replicates]."""
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
