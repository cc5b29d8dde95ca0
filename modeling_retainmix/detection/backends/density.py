"""Nearest-neighbor distance relative to the density around the neighbor."""

from collections.abc import Mapping
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, References, mean_of_finite, usable_neighbors
from modeling_retainmix.detection.nearest_search import Metric, distance_blocks, neighbors_across_recordings
from modeling_retainmix.user_warnings import warn

_LEAST_SPACING = 0.1  # of the mean: below, references count as copies of each other, whose spacing says nothing


class DensityBackend(Backend):
    """The references of the domain and their spacings: local density normalization.

    The distance to a reference is divided by the reference's spacing: its mean distance to the nearest references of
    its domain (the scaled K-NN score of arXiv 2509.10951, which takes both domains together), so that a clip among
    widely spread references scores no higher than one among close ones. Spacings below a tenth of their mean are
    raised to it: copies have spacing 0. Windows of one recording are not neighbors of each other.

    With fewer references of other recordings than `density_neighbors`, or than K, all of them count. Where that leaves
    no density, for one recording or for equal references, distances are not divided, as in "knn". All of these warn.

    Args:
        references: of all domains.
        domain: "source" or "target".
        k: number of nearest references, in the scaled distance, whose mean is the score.
        metric: "euclidean" or "cosine".
        density_neighbors: neighbors of a reference that make its spacing.
    """

    method = "k-nearest neighbors relative to the local density"
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
        self.k, self.metric = usable_neighbors("k", k, len(self.vectors), domain), metric
        self._index = self.recording_index.to(self.vectors.device)
        counts = self._index.unique(return_counts=True)[1]
        others = len(self.vectors) - int(counts.max())  # each reference has at least so many of other recordings
        self.density_neighbors = (
            usable_neighbors("density_neighbors", density_neighbors, others, domain) if others else 1
        )
        self._near, rows = neighbors_across_recordings(self.vectors, self._index, self.density_neighbors, metric)
        self._near_index = self._index[rows]
        self._spacing = torch.ones_like(self.vectors[:, 0])
        spacing = self._spacings(torch.ones_like(self._index, dtype=torch.bool), self._near)
        if spacing is None:
            warn(
                f"the references of the {domain} domain are of one recording or all equal, which leaves no density: "
                "their distances count as in backend='knn', add others"
            )
        else:
            self._spacing = spacing

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """3, of which two remain when one is left out, or K."""
        return max(3, int(settings["k"]))

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        distance = torch.empty(len(queries))
        for part, block in distance_blocks(queries, self.vectors, self.metric):
            distance[part] = self._nearest(block / self._spacing).cpu()
        return distance

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references to those of other recordings, whose spacings are without it too, [m] float32.

        Infinite if there is no other recording. Spacings are held if without the recording there is no density.
        """
        distance = torch.empty(len(self.vectors))
        for part, block in distance_blocks(self.vectors, self.vectors, self.metric):
            for recording in self._index[part].unique():
                left = self._index != recording
                spacing = self._spacings(left, self._near.masked_fill(self._near_index == recording, torch.inf))
                spacing = self._spacing[left] if spacing is None else spacing
                out = self._index[part] == recording
                distance[part][out.cpu()] = self._nearest(block[out][:, left] / spacing).cpu()
        return distance

    def _spacings(self, left: torch.Tensor, near: torch.Tensor) -> torch.Tensor | None:
        """Mean distance of the references that are left to their neighbors, of which those left out are infinite.

        None: there is no density.
        """
        count = min(self.density_neighbors, near.shape[1])
        spacing = mean_of_finite(near[left].topk(count, dim=1, largest=False).values)
        mean = spacing.mean()
        if not 0 < mean < torch.inf:
            return None
        return spacing.clamp(min=float(_LEAST_SPACING * mean))

    def _nearest(self, scaled: torch.Tensor) -> torch.Tensor:
        """Mean of the K smallest distances; infinite if there is none."""
        return mean_of_finite(scaled.topk(min(self.k, scaled.shape[1]), dim=1, largest=False).values)
