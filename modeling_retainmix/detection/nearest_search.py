"""Exact nearest-neighbor distances with bounded memory."""

from collections.abc import Iterator
from typing import Literal

import torch

Metric = Literal["euclidean", "cosine"]

_CHUNK_ELEMENTS = 2**24  # of a block of distances, and of the queries that it belongs to: 64 MiB in float32


def knn_distance(queries: torch.Tensor, bank: torch.Tensor, k: int = 1, metric: Metric = "euclidean") -> torch.Tensor:
    """Return the mean distance of every query to its K nearest vectors of a bank (Eq. 2 of the paper for K = 1).

    Args:
        queries: [n, D] float.
        bank: [m, D] float; the search runs on its device, to which queries of another one are copied in parts.
        k: number of neighbors, 1 <= k <= m.
        metric: "euclidean", or "cosine": the Euclidean distance of the unit vectors, squared and halved, which is
            1 - cosine similarity without its cancellation.

    Returns:
        [n] float32, on the device of `queries`. The distance between identical vectors is exactly 0.

    Raises:
        ValueError: an empty bank, `k` out of range, widths that differ, an unknown metric.
    """
    distances, _ = nearest_neighbors(queries, bank, k, metric)
    return distances.mean(dim=1)


def nearest_neighbors(
    queries: torch.Tensor, bank: torch.Tensor, k: int = 1, metric: Metric = "euclidean"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the K nearest vectors of a bank: distances [n, k] ascending and rows of the bank [n, k].

    Arguments and errors as in `knn_distance`.
    """
    _check_search(queries, bank, k, metric)
    near = queries.new_empty(len(queries), k, dtype=torch.float32)
    rows = queries.new_empty(len(queries), k, dtype=torch.int64)
    for part, block in distance_blocks(queries, bank, metric):
        near[part], rows[part] = block.topk(k, dim=1, largest=False)
    return near, rows


def distance_blocks(
    queries: torch.Tensor, bank: torch.Tensor, metric: Metric = "euclidean"
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Compute all distances, in blocks of bounded size.

    Arguments as in `knn_distance`.

    Yields:
        Which of the queries a block holds, and their distances to the whole bank, [queries, m] float32 on the device
        of the bank.
    """
    unit = torch.nn.functional.normalize
    bank = unit(bank.float(), dim=1) if metric == "cosine" else bank.float()
    size = max(1, _CHUNK_ELEMENTS // max(bank.shape))
    for start in range(0, len(queries), size):
        part = slice(start, start + size)
        block = queries[part].to(bank)
        block = unit(block, dim=1) if metric == "cosine" else block
        # The matrix-product shortcut |q|^2 + |b|^2 - 2qb loses the small distances that detection is about.
        distances = torch.cdist(block, bank, compute_mode="donot_use_mm_for_euclid_dist")
        yield part, distances.square() / 2 if metric == "cosine" else distances


def neighbors_across_recordings(
    vectors: torch.Tensor, recording_index: torch.Tensor, count: int, metric: Metric = "euclidean"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the nearest vectors of other recordings, so many that `count` remain without any further recording.

    Args:
        vectors: [n, D] float.
        recording_index: [n] int64, on the same device.
        count: number of neighbors.
        metric: as in `knn_distance`.

    Returns:
        Distances [n, c] float32 ascending, infinite beyond the last one, and rows of `vectors` [n, c]. c is `count`
        and the vectors of the longest recording, at most n.
    """
    windows = int(recording_index.unique(return_counts=True)[1].max())
    near, rows = [], []
    for part, block in distance_blocks(vectors, vectors, metric):
        block.masked_fill_(recording_index[part, None] == recording_index, torch.inf)
        nearest = block.topk(min(count + windows, len(vectors)), dim=1, largest=False)
        near.append(nearest.values)
        rows.append(nearest.indices)
    return torch.cat(near), torch.cat(rows)


def _check_search(queries: torch.Tensor, bank: torch.Tensor, k: int, metric: str) -> None:
    if queries.ndim != 2 or bank.ndim != 2 or queries.shape[1] != bank.shape[1]:
        raise ValueError(
            f"queries have shape {list(queries.shape)} and the bank {list(bank.shape)}: expected [n, D] and [m, D]"
        )
    if not 1 <= k <= len(bank):
        raise ValueError(
            f"k={k} is not a valid number of neighbors in a bank of {len(bank)} references: use 1 to {len(bank)}"
        )
    if metric not in ("euclidean", "cosine"):
        raise ValueError(f"metric={metric!r} is not a valid metric: use 'euclidean' or 'cosine'")
