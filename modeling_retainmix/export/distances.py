"""Distances of the backends as modules of tensors alone, which an exported graph holds."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from modeling_retainmix.detection.backends.base import Backend
from modeling_retainmix.detection.backends.grouped import GroupedBackend
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.whitened import WhitenedBackend
from modeling_retainmix.detection.backends.within_domain import WithinDomainScatter


class NeighborDistance(nn.Module):
    """Mean distance to the K nearest vectors of a bank, as `nearest_search.knn_distance`.

    Args:
        bank: [m, D] float32.
        k: number of neighbors.
        metric: "euclidean" or "cosine".
    """

    bank: torch.Tensor

    def __init__(self, bank: torch.Tensor, k: int, metric: str) -> None:
        super().__init__()
        self.k, self.is_cosine = k, metric == "cosine"
        bank = bank.float().cpu()
        self.register_buffer("bank", nn.functional.normalize(bank, dim=1) if self.is_cosine else bank)

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances [n] float32 of queries [n, D]."""
        queries = nn.functional.normalize(queries, dim=1) if self.is_cosine else queries
        # Differences, as in the search: products lose the small distances.
        squared = (queries[:, None] - self.bank).square().sum(dim=2)
        distances = squared / 2 if self.is_cosine else squared.sqrt()
        return distances.topk(self.k, dim=1, largest=False).values.mean(dim=1)


class _Axes(nn.Module):
    """Coordinates of queries along the axes of a scatter, and their length across them, each in standard deviations.

    Args:
        scatter: of the references.
        domain: whose mean is taken away.
        shrinkage: of the covariance.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    along: torch.Tensor

    def __init__(self, scatter: WithinDomainScatter, domain: str, shrinkage: float) -> None:
        super().__init__()
        along, across = scatter.eigenvalues(shrinkage)
        self.register_buffer("mean", scatter.means[domain].cpu())
        self.register_buffer("axes", scatter.axes.cpu())
        self.register_buffer("along", along.sqrt().cpu())
        self.across = across**0.5

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """Coordinates [n, r + 1] float64 of queries [n, D]."""
        centered = queries.double() - self.mean
        if len(self.axes) == 0:
            return centered.norm(dim=1, keepdim=True) / self.across
        inside = (self.axes @ centered.T).T  # the graph would hold a transposed copy of the axes beside them
        outside = (centered - inside @ self.axes).norm(dim=1, keepdim=True)
        return torch.cat([inside / self.along, outside / self.across], dim=1)


class WhitenedDistance(nn.Module):
    """The distance of `WhitenedBackend`."""

    def __init__(self, backend: WhitenedBackend) -> None:
        super().__init__()
        self.axes = _Axes(backend.scatter, backend.domain, backend.shrinkage)
        self.nearest = _neighbor_distance(backend.knn)

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances [n] float32 of queries [n, D]."""
        return self.nearest(self.axes(queries).float())


class MahalanobisDistance(nn.Module):
    """The distance of `MahalanobisBackend`."""

    def __init__(self, backend: MahalanobisBackend) -> None:
        super().__init__()
        self.axes = _Axes(backend.scatter, backend.domain, backend.shrinkage)

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances [n] float32 of queries [n, D]."""
        return self.axes(queries).norm(dim=1).float()


class GroupedDistance(nn.Module):
    """The distance of `GroupedBackend`."""

    def __init__(self, backend: GroupedBackend) -> None:
        super().__init__()
        modules: list[Any] = [distance_module(member) for member in backend.members]
        self.members = nn.ModuleList(modules)
        self.scales, self.layout = backend.scales, backend.layout

    def forward(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances [n] float32 of queries [n, D]."""
        parts = zip(self.members, self.layout.split_groups(queries), self.scales, strict=True)
        return torch.stack([member(part) / scale for member, part, scale in parts]).sum(dim=0)


def _neighbor_distance(backend: KnnBackend) -> NeighborDistance:
    return NeighborDistance(backend.bank, backend.k, backend.metric)


_MODULES: dict[type[Backend], Callable[..., nn.Module]] = {
    KnnBackend: _neighbor_distance,
    WhitenedBackend: WhitenedDistance,
    MahalanobisBackend: MahalanobisDistance,
    GroupedBackend: GroupedDistance,
}


def distance_module(backend: Backend) -> nn.Module | None:
    """Return a module that computes the distances of a backend, [n] of queries [n, D]; None: there is none."""
    build = _MODULES.get(type(backend))
    return None if build is None else build(backend)
