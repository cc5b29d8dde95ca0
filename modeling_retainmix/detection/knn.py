"""Exact nearest-neighbour distances with bounded memory."""

from collections.abc import Iterator
from typing import Literal

import torch

Metric = Literal["euclidean", "cosine"]

_CHUNK_ELEMENTS = 2**24  # of one block of distances: 64 MiB in float32


def knn_distance(queries: torch.Tensor, bank: torch.Tensor, k: int = 1, metric: Metric = "euclidean") -> torch.Tensor:
    """Mean distance of every query to its K nearest vectors of a bank (Eq. 2 of the paper for K = 1).

    Args:
        queries: [n, D] float.
        bank: [m, D] float, on the device of `queries`.
        k: number of neighbours, 1 <= k <= m.
        metric: "euclidean", or "cosine": the Euclidean distance of the unit vectors, squared and halved, which is
            1 - cosine similarity without its cancellation.

    Returns:
        [n] float32. The distance between identical vectors is exactly 0.

    Raises:
        ValueError: an empty bank, `k` out of range, widths that differ, an unknown metric.
    """
    distances, _ = nearest_neighbours(queries, bank, k, metric)
    return distances.mean(dim=1)


def nearest_neighbours(
    queries: torch.Tensor, bank: torch.Tensor, k: int = 1, metric: Metric = "euclidean"
) -> tuple[torch.Tensor, torch.Tensor]:
    """The K nearest vectors of a bank: distances [n, k] ascending and rows of the bank [n, k].

    Arguments and errors as in `knn_distance`.
    """
    check_search(queries, bank, k, metric)
    parts = []
    for start, block in _distance_blocks(queries, bank, metric):
        near, rows = block.topk(min(k, block.shape[1]), dim=1, largest=False)
        parts.append((near, rows + start))
    near, rows = (torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True))
    near, order = near.topk(k, dim=1, largest=False)
    return near, rows.gather(1, order)


def pairwise_distance(queries: torch.Tensor, bank: torch.Tensor, metric: Metric = "euclidean") -> torch.Tensor:
    """All distances [n, m] float32; arguments as in `knn_distance`."""
    queries, bank = queries.float(), bank.float()
    if metric == "cosine":
        queries, bank = torch.nn.functional.normalize(queries, dim=1), torch.nn.functional.normalize(bank, dim=1)
    # The matrix-product shortcut |q|^2 + |b|^2 - 2qb loses the small distances that detection is about.
    distances = torch.cdist(queries, bank, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.square() / 2 if metric == "cosine" else distances


def check_search(queries: torch.Tensor, bank: torch.Tensor, k: int, metric: str) -> None:
    """Raises the errors of `knn_distance`."""
    if queries.ndim != 2 or bank.ndim != 2 or queries.shape[1] != bank.shape[1]:
        raise ValueError(
            f"queries have shape {list(queries.shape)} and the bank {list(bank.shape)}: expected [n, D] and [m, D]"
        )
    if not 1 <= k <= len(bank):
        raise ValueError(f"k={k} neighbours were asked of a bank of {len(bank)} references: use 1 to {len(bank)}")
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric {metric!r} is unknown: use 'euclidean' or 'cosine'")


def _distance_blocks(queries: torch.Tensor, bank: torch.Tensor, metric: Metric) -> Iterator[tuple[int, torch.Tensor]]:
    """Distances to consecutive parts of the bank: first row of the part, [n, rows of the part]."""
    size = max(1, _CHUNK_ELEMENTS // max(1, len(queries)))
    for start in range(0, len(bank), size):
        yield start, pairwise_distance(queries, bank[start : start + size], metric)
