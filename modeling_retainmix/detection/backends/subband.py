"""Sub-band matching: every frequency band finds its own nearest reference."""

import torch

from modeling_retainmix.detection.backends.knn import MemoryBank


class BandBank:
    """Banks of the source and of the target domain, one for each band (BEAM, arXiv 2603.13749).

    A distance is the mean over the bands, with equal weights, of the cosine distance to the nearest reference in that
    band. With one neighbour for the whole vector a few loud bands decide which one it is.

    Args:
        vectors: [n, B * D] float32 references that were pooled over time, band after band.
        recording: [n] int64, the recording each vector comes from.
        is_target: [n] bool, the domain of each.
        num_bands: B; bands of several layers count one by one.
        k: number of neighbours in each band, whose mean distance counts.

    Attributes:
        domains: those that have references, source first.
        lowest: [1, domains], what no distance falls below: 0.

    Raises:
        ValueError: no vector, a domain with fewer than K vectors, or a width that is no multiple of B.
    """

    def __init__(
        self, vectors: torch.Tensor, recording: torch.Tensor, is_target: torch.Tensor, num_bands: int, k: int = 1
    ) -> None:
        if vectors.shape[-1] % num_bands:
            raise ValueError(f"vectors of {vectors.shape[-1]} features do not divide into {num_bands} bands")
        self.vectors, self.recording, self.is_target = vectors, recording, is_target
        self._bands = [MemoryBank(band, recording, is_target, k, "cosine") for band in vectors.chunk(num_bands, dim=1)]
        self.domains = self._bands[0].domains
        self.lowest = torch.zeros(1, len(self.domains))

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Mean over the bands of the distances of [n, B * D] queries, [n, domains]."""
        bands = zip(self._bands, queries.chunk(len(self._bands), dim=1), strict=True)
        return torch.stack([bank.distances(band) for bank, band in bands]).mean(dim=0)

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references themselves, [n, domains], as `MemoryBank.leave_one_out` has them."""
        return torch.stack([bank.leave_one_out() for bank in self._bands]).mean(dim=0)
