"""Fusion of several kinds of distances without labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, References
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.pca import PcaBackend
from modeling_retainmix.detection.normalization import DistanceStatistics, distance_statistics, standardize
from modeling_retainmix.user_warnings import warn


class SmallestStandardized(Backend):
    """Several models of the same references, of which the one that finds a clip most normal decides.

    The distances of every model are standardized with the mean and standard deviation that they have for the
    references of the domain, each scored without its recording; then the smallest counts (arXiv 2606.19269). It may be
    negative.

    Members whose distances have no such statistics, because there are too few references to leave a recording out or
    all of them have the same distance, do not decide. If there is no other member, the distance is that of the first
    one as it is (with a warning).

    Args:
        members: at least one, of one domain.
    """

    def __init__(self, members: Sequence[Backend]) -> None:
        super().__init__(members[0].references, members[0].domain)
        left_out = [member.reference_distances() for member in members]
        statistics = [distance_statistics(distance[self.rows]) for distance in left_out]
        usable = [number for number, (_, std) in enumerate(statistics) if 0 < std < torch.inf]
        if not usable:
            warn(
                f"the {self.domain} domain has too few different references to standardize distances "
                f"({len(self.vectors)}): the first kind of distance counts as it is, add references"
            )
        self._members = [members[number] for number in usable or [0]]
        self._statistics = [statistics[number] for number in usable] or [DistanceStatistics(0.0, 1.0)]
        left_out = [left_out[number] for number in usable or [0]]
        self._reference_distances = self._smallest(left_out)
        self.lower_bound = float(self._smallest([torch.tensor([member.lower_bound]) for member in self._members]))

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        return self._smallest([member.distance(queries) for member in self._members])

    def leave_one_out(self) -> torch.Tensor:
        return self._reference_distances[self.rows]

    def reference_distances(self) -> torch.Tensor:
        return self._reference_distances

    def _smallest(self, distances: Sequence[torch.Tensor]) -> torch.Tensor:
        standardized = [
            standardize(distance, statistics, self.domain)
            for distance, statistics in zip(distances, self._statistics, strict=True)
        ]
        return torch.stack(standardized).amin(dim=0)


class FusionBackend(SmallestStandardized):
    """The smallest standardized distance of "knn" and "density", both by cosine, "mahalanobis" and "pca".

    Args:
        references: of all domains.
        domain: "source" or "target".
        shrinkage: of "mahalanobis".
        explained_variance: of "pca".
        density_neighbors: of "density".
    """

    method = "k-nearest neighbors, Mahalanobis distance and residual of a principal component analysis"
    uses_neighbors = True
    num_subsystems = 4

    def __init__(
        self,
        references: References,
        domain: str,
        shrinkage: float = 0.1,
        explained_variance: float = 0.95,
        density_neighbors: int = 4,
    ) -> None:
        super().__init__(
            [
                KnnBackend(references, domain, metric="cosine"),
                MahalanobisBackend(references, domain, shrinkage),
                DensityBackend(references, domain, metric="cosine", density_neighbors=density_neighbors),
                PcaBackend(references, domain, explained_variance),
            ]
        )

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """3: the fewest of which each can be left out and the distances vary."""
        return 3
