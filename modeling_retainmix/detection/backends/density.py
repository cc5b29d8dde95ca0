"""Nearest-neighbour distances relative to the density around the neighbour."""

import torch

from modeling_retainmix.detection.backends.knn import DOMAINS
from modeling_retainmix.detection.nearest_search import Metric, distance_blocks

_LEAST_SPACING = 0.1  # of the mean: below, references count as copies of each other, whose spacing says nothing


class DensityBank:
    """Banks of the source and of the target domain, with local density normalisation.

    The distance to a reference is divided by the reference's spacing: its mean distance to the nearest references of
    its domain (the scaled K-NN score of arXiv 2509.10951, which takes both domains together), so that a clip among
    widely spread references scores no higher than one among close ones. Spacings below a tenth of their mean are
    raised to it: copies have spacing 0.

    Args:
        vectors: [n, D] float32 pooled references.
        recording: [n] int64, the recording each vector comes from. Windows of one recording are no neighbours.
        is_target: [n] bool, the domain of each.
        k: number of nearest references, in the scaled distance, whose mean is the score.
        metric: "euclidean" or "cosine".
        num_neighbours: of a reference, that make its spacing.

    Attributes:
        domains: those that have references, source first.
        lowest: [1, domains], what no distance falls below: 0.

    Raises:
        ValueError: no vector, a domain with fewer vectors than `k`, or with fewer than `num_neighbours` of other
            recordings for one of its vectors, or whose vectors are all equal.
    """

    def __init__(
        self,
        vectors: torch.Tensor,
        recording: torch.Tensor,
        is_target: torch.Tensor,
        k: int = 1,
        metric: Metric = "euclidean",
        num_neighbours: int = 4,
    ) -> None:
        if len(vectors) == 0:
            raise ValueError("the machine has no references: fit on at least one normal clip")
        self.vectors, self.recording, self.is_target = vectors, recording, is_target
        of_domain = {domain: is_target == (domain == "target") for domain in DOMAINS}
        self.domains = [domain for domain in DOMAINS if of_domain[domain].any()]
        self._banks = {
            d: _Bank(vectors[of_domain[d]], recording[of_domain[d]], d, k, metric, num_neighbours)
            for d in self.domains
        }
        self.lowest = torch.zeros(1, len(self.domains))

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Scaled distances of [n, D] queries to each domain, [n, domains]."""
        return torch.stack([self._banks[domain].distance(queries) for domain in self.domains], dim=1)

    def leave_one_out(self) -> torch.Tensor:
        """Scaled distances of the references to banks without their own recording, [n, domains].

        Raises:
            ValueError: without a recording, a domain has too few references.
        """
        columns = []
        for domain in self.domains:
            column = self._banks[domain].distance(self.vectors)
            column[self.is_target == (domain == "target")] = self._banks[domain].leave_one_out()
            columns.append(column)
        return torch.stack(columns, dim=1)


class _Bank:
    """The references of one domain and their spacings."""

    def __init__(
        self, vectors: torch.Tensor, recording: torch.Tensor, domain: str, k: int, metric: Metric, num_neighbours: int
    ) -> None:
        self.vectors, self.recording, self.domain = vectors, recording.to(vectors.device), domain
        self.k, self.metric, self.num_neighbours = k, metric, num_neighbours
        windows = int(recording.unique(return_counts=True)[1].max())
        near, rows = [], []  # as many neighbours as are needed when the windows of any one recording are left out
        for part, block in distance_blocks(vectors, vectors, metric):
            block.masked_fill_(self.recording[part, None] == self.recording, torch.inf)
            nearest = block.topk(min(num_neighbours + windows, len(vectors)), dim=1, largest=False)
            near.append(nearest.values)
            rows.append(nearest.indices)
        self._near, self._near_recording = torch.cat(near), self.recording[torch.cat(rows)]
        self._spacing = self._spacings(torch.ones_like(self.recording, dtype=torch.bool), self._near)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        distance = torch.empty(len(queries))
        for part, block in distance_blocks(queries, self.vectors, self.metric):
            distance[part] = self._nearest(block / self._spacing)
        return distance

    def leave_one_out(self) -> torch.Tensor:
        distance = torch.empty(len(self.vectors))
        for part, block in distance_blocks(self.vectors, self.vectors, self.metric):
            for recording in self.recording[part].unique():
                left = self.recording != recording
                spacing = self._spacings(left, self._near.masked_fill(self._near_recording == recording, torch.inf))
                out = self.recording[part] == recording
                distance[part][out.cpu()] = self._nearest(block[out][:, left] / spacing).cpu()
        return distance

    def _spacings(self, left: torch.Tensor, near: torch.Tensor) -> torch.Tensor:
        """Mean distance of the references that are left to their neighbours, of which those left out are infinite."""
        if int(left.sum()) < self.k or near.shape[1] < self.num_neighbours:
            self._refuse()
        spacing = near[left].topk(self.num_neighbours, dim=1, largest=False).values.mean(dim=1)
        mean = spacing.mean()
        if mean.isinf():
            self._refuse()
        if not mean > 0:
            raise ValueError(
                f"the references of the {self.domain} domain are all equal, which leaves no density: add others, or "
                "use backend='knn'"
            )
        return spacing.clamp(min=float(_LEAST_SPACING * mean))

    def _nearest(self, scaled: torch.Tensor) -> torch.Tensor:
        return scaled.topk(self.k, dim=1, largest=False).values.mean(dim=1)

    def _refuse(self) -> None:
        raise ValueError(
            f"the {self.domain} domain has too few references of different recordings for k={self.k} and "
            f"num_neighbours={self.num_neighbours}: add some, lower density_neighbours, or use backend='knn'"
        )
