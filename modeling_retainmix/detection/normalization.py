"""Normalization between domains: one anomaly score from the distances to the source and to the target bank."""

from typing import NamedTuple

import torch


class DistanceStatistics(NamedTuple):
    """Mean and population standard deviation of distances to one domain's bank."""

    mean: float
    std: float


def distance_statistics(distance: torch.Tensor) -> DistanceStatistics:
    """Return the statistics of distances [n]; the standard deviation has ddof 0, as in the published rule."""
    return DistanceStatistics(float(distance.mean()), float(distance.std(correction=0)))


def domain_normalized_score(
    source_distance: torch.Tensor,
    target_distance: torch.Tensor,
    source_stats: DistanceStatistics | None = None,
    target_stats: DistanceStatistics | None = None,
) -> torch.Tensor:
    """Standardize the distances to both banks and take the smaller one: min(z_source, z_target).

    With statistics of the reference clips a clip's score stands alone. Without statistics this is the published rule
    of GenRep (arXiv 2409.05035): mean and standard deviation run over the clips that are passed, so that each score
    depends on the other clips. It serves to reproduce published figures.

    Args:
        source_distance, target_distance: [n] distances to the two banks.
        source_stats, target_stats: statistics of normal clips; both or none.

    Returns:
        [n] scores, higher is more anomalous.

    Raises:
        ValueError: shapes that differ, one statistic without the other, or a standard deviation of 0.
    """
    if source_distance.ndim != 1 or source_distance.shape != target_distance.shape:
        raise ValueError(
            f"distances have shapes {list(source_distance.shape)} and {list(target_distance.shape)}, not [n] both"
        )
    if (source_stats is None) != (target_stats is None):
        raise ValueError("statistics of one domain only: pass source_stats and target_stats, or neither")
    return torch.minimum(
        standardize(source_distance, source_stats or distance_statistics(source_distance), "source"),
        standardize(target_distance, target_stats or distance_statistics(target_distance), "target"),
    )


def standardize(distance: torch.Tensor, stats: DistanceStatistics, domain: str) -> torch.Tensor:
    """Return distances [n] to the bank of a domain, less their mean and divided by their standard deviation.

    Raises:
        ValueError: the standard deviation is 0.
    """
    if not stats.std > 0:
        raise ValueError(
            f"the distances to the {domain} bank do not vary (standard deviation {stats.std}): use more, or more "
            "various, clips, or normalization='none'"
        )
    return (distance - stats.mean) / stats.std
