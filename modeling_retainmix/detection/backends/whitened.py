"""Distance to the nearest references in a space that is whitened by one covariance of both domains."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import torch

from modeling_retainmix.detection.backends.base import Backend, Contrast, References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.within_domain import ReducedScatter, WithinDomainScatter
from modeling_retainmix.detection.nearest_search import nearest_neighbors

LeftOutCovariance = Literal["held", "refit"]


class WhitenedBackend(Backend):
    """Mean whitened distance to the K nearest references of the domain.

    The covariance is that of the n references of all m domains about the mean of their own domain, S, shrunk:
    Sigma = (1 - rho) S + rho * mu * I with mu = trace(S) / D and rho = max(Ledoit-Wolf shrinkage, 1 / (1 + n - m)).
    The distance of a query q to a reference r is sqrt((q - r)^T Sigma^-1 (q - r)). If no reference differs from its
    domain's mean (one reference per domain, or copies), Sigma is the identity, which is "knn". Any number of
    references from 1 up; distances of both domains are of one scale, so they compare without normalization.

    Leave-one-out distances, which thresholds and normalization come from, use the covariance and rho of the other
    recordings (`left_out_covariance="refit"`). With "held" references are left out of the search only: the covariance
    has seen them, so these distances are smaller than those of new clips. Where a rate of 10 % was asked for on
    Gaussian vectors, 5 to 15 % of new ones were above the threshold with "refit", and with "held" 11 to 17 % with 8
    features, 18 to 100 % with 128 and all with 1536 (20 or 100 references).

    Args:
        references: of all domains.
        domain: "source" or "target".
        k: number of neighbors; with fewer references, all of them (with a warning).
        left_out_covariance: "refit" or "held".

    Attributes:
        scatter: S times n, shared by both domains.
        shrinkage: rho.
        knn: the search in the whitened space.
    """

    method = "k-nearest neighbors in a whitened space"
    uses_neighbors = True

    def __init__(
        self, references: References, domain: str, k: int = 1, left_out_covariance: LeftOutCovariance = "refit"
    ) -> None:
        super().__init__(references, domain)
        self.left_out_covariance = left_out_covariance
        self.scatter = references.shared(WithinDomainScatter)
        self.shrinkage = self.scatter.whitening_shrinkage()
        whitened = self._whiten(references.vectors)
        whitened[self.rows.to(whitened.device), -1] = 0  # but for rounding it is: they lie in the span
        self.knn = KnnBackend(replace(references, vectors=whitened), domain, k)

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """K, as for "knn"."""
        return KnnBackend.needed_recordings(settings)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        return self.knn.distance(self._whiten(queries))

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references to those of other recordings, [m] float32, the covariance held or refitted."""
        return self.reference_distances()[self.rows]

    def reference_distances(self) -> torch.Tensor:
        return self.knn.reference_distances() if self.left_out_covariance == "held" else self._refitted

    @property
    def has_contrast(self) -> bool:
        return self.knn.k == 1

    def contrast(self, query: torch.Tensor) -> Contrast:
        """How a query [D] differs from the nearest reference, measured by the inverse covariance."""
        _, row = nearest_neighbors(self._whiten(query[None]), self.knn.bank, 1)
        origin = self.vectors[int(row)].double()
        direction = self.scatter.inverse(query.to(origin) - origin, self.shrinkage)
        return Contrast(origin.cpu(), direction.cpu(), self.row(int(row)))

    @cached_property
    def _refitted(self) -> torch.Tensor:
        """`reference_distances` with a covariance of the other recordings."""
        references, k = self.references, self.knn.k
        inside, outside = self.scatter.split(references.vectors, self.domain)
        outside[self.rows.to(outside.device)] = 0
        distance = torch.empty(len(inside))
        for domain in references.domains:
            for recording in references.recording_index[references.rows(domain)].unique():
                rows = references.rows(domain) & (references.recording_index == recording)
                reduced = ReducedScatter(self.scatter, domain, rows)
                shrinkage, bank = reduced.whitening_shrinkage(), inside[self.rows & ~rows]
                for row in rows.nonzero()[:, 0].tolist():
                    squared = reduced.squared_distances(inside[row], bank, outside[row], shrinkage)
                    nearest = squared.topk(min(k, len(bank)), largest=False).values.sqrt()
                    distance[row] = nearest.mean() if len(bank) else torch.inf
        return distance

    def _whiten(self, vectors: torch.Tensor) -> torch.Tensor:
        """Coordinates [n, r + 1] float32 whose Euclidean distances to the domain's references are the whitened ones.

        All references of a domain share what lies across the axes, so one number, the length there, is enough.
        """
        along, across = self.scatter.eigenvalues(self.shrinkage)
        inside, outside = self.scatter.split(vectors, self.domain)
        return torch.cat([inside / along.sqrt(), outside[:, None] / across**0.5], dim=1).float()
