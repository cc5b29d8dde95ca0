"""VarMin: sub-band matching that takes the share of the references' spacing away which explains their distances."""

from typing import NamedTuple

import torch

from modeling_retainmix.detection.backends.base import Backend, References, mean_of_finite
from modeling_retainmix.detection.nearest_search import distance_blocks, neighbors_across_recordings


class VarMinBackend(Backend):
    """Band-wise cosine distances with the spacing of the references taken away (arXiv 2608.00447).

    score = mean over bands f of min over references i of (d_if - alpha_f * b_if)

    d_if is the cosine distance (1 - cos) / 2 of the clip to reference i in band f; b_if the spacing of the reference,
    its mean distance to its min(4, n - 1) nearest others in that band; alpha_f = Cov(d, b) / Var(b) over the
    references, 0 where Var(b) = 0: the share of b that leaves the least variance in d - alpha * b. One bank serves
    both domains.

    The formula leaves three things open; the reading taken here is: (1) a pair (d, b) is a reference's distance to the
    nearest other one and the spacing of that neighbor, the nearest by d alone; (2) b is the spacing in the whole bank,
    the one that scores are corrected by, so the reference of a pair may itself be among the neighbors that make it;
    (3) each reference gives one pair, with moments of equal weights. With this reading others have reproduced the
    published scores of DCASE 2026 within 0.01 (`examples/dcase_2026.py` computes them). Windows of one recording are
    not neighbors of each other. A single recording has no spacing (b = 0), and scores are plain distances.

    Args:
        references: pooled over time, band after band; bands of several layers count one by one.
        domain: "source" or "target"; all references are of one, since domains are pooled.
        density_neighbors: the 4 of the formula.

    Attributes:
        alpha: of each band.

    Raises:
        ValueError: a width that is not a multiple of the number of bands.
    """

    method = "nearest neighbor in each frequency band, less the explained share of the local density"
    needs_bands = True
    pools_domains = True

    def __init__(self, references: References, domain: str, density_neighbors: int = 4) -> None:
        super().__init__(references, domain)
        index = self.recording_index.to(self.vectors.device)
        bands = references.layout.bands(references.vectors)
        self._bands = [_Band(band[self.rows], index, density_neighbors) for band in bands]
        self.alpha = [band.correction.alpha for band in self._bands]
        least = [float((-band.correction.alpha * band.correction.spacing).min()) for band in self._bands]
        self.lower_bound = sum(least) / len(least)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        bands = zip(self._bands, self.references.layout.bands(queries), strict=True)
        return torch.stack([band.distance(part) for band, part in bands]).mean(dim=0)

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references to a bank without their recording, spacings and alpha included, [m] float32.

        Infinite if there is one recording only.
        """
        return torch.stack([band.leave_one_out() for band in self._bands]).mean(dim=0)


class _Correction(NamedTuple):
    """alpha, and the spacings [n] of references."""

    alpha: float
    spacing: torch.Tensor


class _Band:
    """The references [n, d] in one frequency band."""

    def __init__(self, vectors: torch.Tensor, recording_index: torch.Tensor, neighbors: int) -> None:
        self.vectors, self._index, self._neighbors = vectors, recording_index, neighbors
        near, self._near_rows = neighbors_across_recordings(vectors, recording_index, neighbors, "cosine")
        self._near = near / 2
        self.correction = self._fit(torch.ones_like(recording_index, dtype=torch.bool), self._near)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        distance = torch.empty(len(queries))
        for part, block in distance_blocks(queries, self.vectors, "cosine"):
            distance[part] = _smallest(block, self.correction).cpu()
        return distance

    def leave_one_out(self) -> torch.Tensor:
        distance = torch.empty(len(self.vectors))
        for part, block in distance_blocks(self.vectors, self.vectors, "cosine"):
            for recording in self._index[part].unique():
                left = self._index != recording
                out = self._index[part] == recording
                if not left.any():
                    return torch.full_like(distance, torch.inf)
                removed = (self._index == recording)[self._near_rows]
                correction = self._fit(left, self._near.masked_fill(removed, torch.inf))
                distance[part][out.cpu()] = _smallest(block[out][:, left], correction).cpu()
        return distance

    def _fit(self, left: torch.Tensor, near: torch.Tensor) -> _Correction:
        """Spacings of the references that are left, and alpha; the neighbors that are left out are infinite."""
        count = min(self._neighbors, near.shape[1])
        spacing = mean_of_finite(near.topk(count, dim=1, largest=False).values)
        spacing = spacing.masked_fill(spacing.isinf(), 0)
        nearest = near.min(dim=1)
        paired = left & nearest.values.isfinite()
        if not paired.any():
            return _Correction(0.0, spacing[left])
        distance = nearest.values[paired].double()
        neighbor = spacing[self._near_rows.gather(1, nearest.indices[:, None])[paired, 0]].double()
        deviation = neighbor - neighbor.mean()
        variance = float(deviation.square().mean())
        if not variance > 1e-12 * float(neighbor.square().mean()):  # equal but for rounding
            return _Correction(0.0, spacing[left])
        covariance = float(((distance - distance.mean()) * deviation).mean())
        return _Correction(covariance / variance, spacing[left])


def _smallest(cosine_distance: torch.Tensor, correction: _Correction) -> torch.Tensor:
    """Smallest corrected distance [q], of distances 1 - cos [q, n]."""
    return (cosine_distance / 2 - correction.alpha * correction.spacing).amin(dim=1)
