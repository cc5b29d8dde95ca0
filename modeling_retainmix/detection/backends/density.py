"""Nearest-neighbor distance relative to the density around the neighbor."""

import torch

from modeling_retainmix.detection.backends.base import Backend, References
from modeling_retainmix.detection.nearest_search import Metric, distance_blocks

_LEAST_SPACING = 0.1  # of the mean: below, references count as copies of each other, whose spacing says nothing


class DensityBackend(Backend):
    """The references of the domain and their spacings: local density normalization.

    The distance to a reference is divided by the reference's spacing: its mean distance to the nearest references of
    its domain (the scaled K-NN score of arXiv 2509.10951, which takes both domains together), so that a clip among
    widely spread references scores no higher than one among close ones. Spacings below a tenth of their mean are
    raised to it: copies have spacing 0. Windows of one recording are not neighbors of each other.

    Args:
        references: of all domains.
        domain: "source" or "target".
        k: number of nearest references, in the scaled distance, whose mean is the score.
        metric: "euclidean" or "cosine".
        density_neighbors: neighbors of a reference that make its spacing.

    Raises:
        ValueError: fewer references than `k`, or than `density_neighbors` of other recordings for one of them, or
            all of them are equal.
    """

    method = "k-nearest neighbours relative to the local density"
    uses_neighbors = True

    def __init__(
        self,
        references: References,
        domain: str,
        k: int = 1,
        metric: Metric = "euclidean",
        density_neighbors: int = 4,
    ) -> None:
        super().__init__(references, domain)
        self.k, self.metric, self.density_neighbors = k, metric, density_neighbors
        self._index = self.recording_index.to(self.vectors.device)
        windows = int(self._index.unique(return_counts=True)[1].max())
        near, rows = [], []  # as many neighbors as are needed when the windows of any one recording are left out
        for part, block in distance_blocks(self.vectors, self.vectors, metric):
            block.masked_fill_(self._index[part, None] == self._index, torch.inf)
            nearest = block.topk(min(density_neighbors + windows, len(self.vectors)), dim=1, largest=False)
            near.append(nearest.values)
            rows.append(nearest.indices)
        self._near, self._near_index = torch.cat(near), self._index[torch.cat(rows)]
        self._spacing = self._spacings(torch.ones_like(self._index, dtype=torch.bool), self._near)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        distance = torch.empty(len(queries))
        for part, block in distance_blocks(queries, self.vectors, self.metric):
            distance[part] = self._nearest(block / self._spacing)
        return distance

    def leave_one_out(self) -> torch.Tensor:
        distance = torch.empty(len(self.vectors))
        for part, block in distance_blocks(self.vectors, self.vectors, self.metric):
            for recording in self._index[part].unique():
                left = self._index != recording
                spacing = self._spacings(left, self._near.masked_fill(self._near_index == recording, torch.inf))
                out = self._index[part] == recording
                distance[part][out.cpu()] = self._nearest(block[out][:, left] / spacing).cpu()
        return distance

    def _spacings(self, left: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """Mean distance of the references that are left to their neighbors, of which those left out are infinite."""
        if int(left.sum()) < self.k or near.shape[1] < self.density_neighbors:
            raise self._too_few()
        spacing = near[left].topk(self.density_neighbors, dim=1, largest=False).values.mean(dim=1)
        mean = spacing.mean()
        if mean.isinf():
            raise self._too_few()
        if not mean > 0:
            raise ValueError(
                f"the references of the {self.domain} domain are all equal, which leaves no density: add others, or "
                "use backend='knn'"
            )
        return spacing.clamp(min=float(_LEAST_SPACING * mean))

    def _nearest(self, scaled: torch.Tensor) -> torch.Tensor:
        return scaled.topk(self.k, dim=1, largest=False).values.mean(dim=1)

    def _too_few(self) -> ValueError:
        return ValueError(
            f"the {self.domain} domain has too few references of different recordings for k={self.k} and "
            f"density_neighbors={self.density_neighbors}: add some, lower density_neighbors, or use backend='knn'"
        )
