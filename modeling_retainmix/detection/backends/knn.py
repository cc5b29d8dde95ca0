"""The reference vectors of one machine, one bank per domain, and distances to them."""

import torch

from modeling_retainmix.detection.backends.base import Contrast
from modeling_retainmix.detection.mem_mixup import mix_with_neighbours
from modeling_retainmix.detection.nearest_search import Metric, distance_blocks, knn_distance, nearest_neighbours

DOMAINS = ("source", "target")


class MemoryBank:
    """Banks of the source and of the target domain.

    Args:
        vectors: [n, D] float32 pooled references.
        recording: [n] int64, the recording each vector comes from (a long one gives several).
        is_target: [n] bool, the domain of each.
        k: number of neighbours.
        metric: "euclidean" or "cosine".
        mix_support: K_s of MemMixup, for machines with references of both domains; None: no MemMixup.
        mix_alpha: its alpha.

    Attributes:
        domains: those that have references, source first.
        lowest: [1, domains], what no distance falls below: 0.

    Raises:
        ValueError: no vector, or a domain with fewer than K vectors.
    """

    def __init__(
        self,
        vectors: torch.Tensor,
        recording: torch.Tensor,
        is_target: torch.Tensor,
        k: int = 1,
        metric: Metric = "euclidean",
        mix_support: int | None = None,
        mix_alpha: float = 0.9,
    ) -> None:
        if len(vectors) == 0:
            raise ValueError("the machine has no references: fit on at least one normal clip")
        self.vectors, self.recording, self.is_target = vectors, recording, is_target
        self.k: int = k
        self.metric: Metric = metric
        of_domain = {domain: is_target == (domain == "target") for domain in DOMAINS}
        self.domains = [domain for domain in DOMAINS if of_domain[domain].any()]
        self.lowest = torch.zeros(1, len(self.domains))
        self._banks = {domain: vectors[of_domain[domain]] for domain in self.domains}
        # recordings that each vector of a bank was made from, [m, 1 or 2]
        self._origins = {d: recording[of_domain[d], None].to(vectors.device) for d in self.domains}
        for domain, bank in self._banks.items():
            if len(bank) < k:
                raise ValueError(
                    f"the {domain} domain has {len(bank)} references, fewer than k={k}: add references or lower k"
                )
        if mix_support is not None and len(self.domains) == 2:
            source, target = self._origins["source"][:, 0], self._origins["target"][:, 0]
            bank, rows = mix_with_neighbours(self._banks["source"], self._banks["target"], mix_alpha, mix_support)
            mixed = torch.stack([target[:, None].expand_as(rows), source[rows]], dim=2).flatten(0, 1)
            self._banks["target"] = bank
            self._origins["target"] = torch.cat([target[:, None].expand(-1, 2), mixed])

    def bank(self, domain: str) -> torch.Tensor:
        """The vectors of a domain's bank, [m, D]; mixed ones last."""
        return self._banks[domain]

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Mean distance of [n, D] queries to the K nearest vectors of each bank, [n, domains]."""
        columns = [knn_distance(queries, self._banks[d], self.k, self.metric) for d in self.domains]
        return torch.stack(columns, dim=1).cpu()

    def contrast(self, query: torch.Tensor, domain: str) -> Contrast:
        """How a query [D] differs from the nearest vector of a bank, for K = 1 and Euclidean distances."""
        _, row = nearest_neighbours(query[None], self._banks[domain], 1)
        origin = self._banks[domain][int(row)].cpu().double()
        return Contrast(origin, query.double() - origin, int(self._origins[domain][int(row), 0]))

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references themselves, [n, domains].

        What comes from a reference's own recording is left out: its other windows, and every mixed vector which was
        made from it.

        Raises:
            ValueError: a bank has fewer than K vectors of other recordings.
        """
        return torch.stack([self._leave_one_out(domain) for domain in self.domains], dim=1)

    def _leave_one_out(self, domain: str) -> torch.Tensor:
        bank, origins = self._banks[domain], self._origins[domain]
        recording = self.recording.to(bank.device)
        distance = torch.empty(len(self.vectors))
        for part, block in distance_blocks(self.vectors, bank, self.metric):
            block.masked_fill_((origins == recording[part, None, None]).any(dim=2), torch.inf)
            distance[part] = block.topk(min(self.k, len(bank)), dim=1, largest=False).values.mean(dim=1)
        if len(bank) < self.k or distance.isinf().any():
            raise ValueError(
                f"the {domain} domain has too few references to leave one recording out with k={self.k}: "
                f"give at least {self.k + 1} recordings of it or lower k; scores, not thresholds, also work with "
                "normalization='none'"
            )
        return distance
