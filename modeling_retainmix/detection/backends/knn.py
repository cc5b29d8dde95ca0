"""Distance to the nearest references (GenRep, arXiv 2409.05035; Eq. 2 of RetainMix for K = 1)."""

from collections.abc import Mapping
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, Contrast, References, mean_of_finite, usable_neighbors
from modeling_retainmix.detection.mem_mixup import mix_with_neighbors
from modeling_retainmix.detection.nearest_search import Metric, distance_blocks, knn_distance, nearest_neighbors


class KnnBackend(Backend):
    """Mean distance to the K nearest references of the domain; with fewer than K, to all of them (with a warning).

    Args:
        references: of all domains.
        domain: "source" or "target".
        k: number of neighbors.
        metric: "euclidean" or "cosine".
        memmixup_neighbors: K_s of MemMixup, which adds vectors to the target domain of a machine with references of
            both; None: no MemMixup.
        memmixup_alpha: its alpha.

    Attributes:
        bank: [m, D] the vectors that are searched; mixed ones last.
    """

    method = "k-nearest neighbors"
    uses_neighbors = True

    def __init__(
        self,
        references: References,
        domain: str,
        k: int = 1,
        metric: Metric = "euclidean",
        memmixup_neighbors: int | None = None,
        memmixup_alpha: float = 0.9,
    ) -> None:
        super().__init__(references, domain)
        self.k, self.metric = usable_neighbors("k", k, len(self.vectors), domain), metric
        self.bank = self.vectors
        # recordings that each vector of the bank was made from, [m, 1 or 2]
        self._origins = self.recording_index[:, None].to(self.bank.device)
        if memmixup_neighbors is not None and domain == "target" and len(references.domains) == 2:
            rows = references.rows("source")
            source, target = references.recording_index[rows].to(self.bank.device), self._origins[:, 0]
            self.bank, nearest = mix_with_neighbors(
                references.vectors[rows], self.vectors, memmixup_alpha, memmixup_neighbors
            )
            mixed = torch.stack([target[:, None].expand_as(nearest), source[nearest]], dim=2).flatten(0, 1)
            self._origins = torch.cat([target[:, None].expand(-1, 2), mixed])

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """K, of which each may be another one."""
        return int(settings["k"])

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        return knn_distance(queries, self.bank, self.k, self.metric).cpu()

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references to the bank without what comes from their recording, [m] float32.

        That is without its other windows, and every mixed vector that was made from it. Where fewer than K vectors
        remain, all of them count.
        """
        return self._without_recordings(self.vectors, self.recording_index)

    def reference_distances(self) -> torch.Tensor:
        # Mixed vectors are left out for references of the source domain too.
        return self._without_recordings(self.references.vectors, self.references.recording_index)

    @property
    def has_contrast(self) -> bool:
        return self.k == 1 and self.metric == "euclidean"

    def contrast(self, query: torch.Tensor) -> Contrast:
        """How a query [D] differs from the nearest vector of the bank."""
        _, nearest = nearest_neighbors(query[None], self.bank, 1)
        place, count = int(nearest), len(self.vectors)
        origin = self.bank[place].cpu().double()
        mixed_per_target = max(1, len(self.bank) // count - 1)
        target = place if place < count else (place - count) // mixed_per_target  # see `mem_mixup`
        return Contrast(origin, query.double() - origin, self.row(target))

    def _without_recordings(self, vectors: torch.Tensor, recording_index: torch.Tensor) -> torch.Tensor:
        recording_index = recording_index.to(self.bank.device)
        distance = torch.empty(len(vectors))
        for part, block in distance_blocks(vectors, self.bank, self.metric):
            block.masked_fill_((self._origins == recording_index[part, None, None]).any(dim=2), torch.inf)
            distance[part] = mean_of_finite(block.topk(self.k, dim=1, largest=False).values).cpu()
        return distance
