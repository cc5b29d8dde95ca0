"""Distance to the nearest references in a space that is whitened by one covariance of both domains."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, Contrast, References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.within_domain import WithinDomainScatter
from modeling_retainmix.detection.nearest_search import nearest_neighbors


class WhitenedBackend(Backend):
    """Mean whitened distance to the K nearest references of the domain.

    The covariance is that of the n references of all m domains about the mean of their own domain, S, shrunk:
    Sigma = (1 - rho) S + rho * mu * I with mu = trace(S) / D and rho = max(Ledoit-Wolf shrinkage, 1 / (1 + n - m)).
    The distance of a query q to a reference r is sqrt((q - r)^T Sigma^-1 (q - r)). If no reference differs from its
    domain's mean (one reference per domain, or copies), Sigma is the identity, which is "knn". Any number of
    references from 1 up; distances of both domains are of one scale, so they compare without normalization.

    References are left out of the search only: the covariance is held. It has seen the left-out reference, so their
    distances are smaller than those of new clips, the more so the fewer references there are for the dimensions, and
    thresholds from them give more false alarms than asked for.

    Args:
        references: of all domains.
        domain: "source" or "target".
        k: number of neighbors; with fewer references, all of them (with a warning).

    Attributes:
        shrinkage: rho.
    """

    method = "k-nearest neighbours in a whitened space"
    uses_neighbors = True

    def __init__(self, references: References, domain: str, k: int = 1) -> None:
        super().__init__(references, domain)
        self._scatter = references.shared(WithinDomainScatter)
        degrees = len(references.vectors) - len(references.domains)
        self.shrinkage = max(self._scatter.ledoit_wolf(), 1 / (1 + degrees))
        whitened = self._whiten(references.vectors)
        whitened[self.rows.to(whitened.device), -1] = 0  # but for rounding it is: they lie in the span
        self._knn = KnnBackend(replace(references, vectors=whitened), domain, k)

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """K, as for "knn"."""
        return KnnBackend.needed_recordings(settings)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        return self._knn.distance(self._whiten(queries))

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references to those of other recordings, [m] float32, with the covariance held."""
        return self._knn.leave_one_out()

    def reference_distances(self) -> torch.Tensor:
        return self._knn.reference_distances()

    @property
    def has_contrast(self) -> bool:
        return self._knn.k == 1

    def contrast(self, query: torch.Tensor) -> Contrast:
        """How a query [D] differs from the nearest reference, measured by the inverse covariance."""
        _, row = nearest_neighbors(self._whiten(query[None]), self._knn.bank, 1)
        origin = self.vectors[int(row)].double()
        direction = self._scatter.inverse(query.to(origin) - origin, self.shrinkage)
        return Contrast(origin.cpu(), direction.cpu(), int(self.recording_index[int(row)]))

    def _whiten(self, vectors: torch.Tensor) -> torch.Tensor:
        """Coordinates [n, r + 1] float32 whose Euclidean distances to the domain's references are the whitened ones.

        All references of a domain share what lies across the axes, so one number, the length there, is enough.
        """
        along, across = self._scatter.eigenvalues(self.shrinkage)
        inside, outside = self._scatter.split(vectors, self.domain)
        return torch.cat([inside / along.sqrt(), outside[:, None] / across**0.5], dim=1).float()
