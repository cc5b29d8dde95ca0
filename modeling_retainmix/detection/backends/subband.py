"""Sub-band matching: every frequency band finds its nearest reference by itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, References, usable_neighbors
from modeling_retainmix.detection.backends.knn import KnnBackend


class SubbandBackend(Backend):
    """A nearest-neighbor search in each frequency band (BEAM, arXiv 2603.13749).

    The distance is the mean over the bands, with equal weights, of the cosine distance to the nearest references in
    that band. With one search for the whole vector a few loud bands decide which reference is the nearest. The cosine
    distance is 1 - cos, which is twice the (1 - cos) / 2 of arXiv 2608.00447; with `bank="shared"` and K = 1 this is
    that paper's distance without its VarMin ("varmin" has it).

    Args:
        references: of all domains, pooled over time, band after band; bands of several layers count one by one.
        domain: "source" or "target".
        k: number of neighbors in each band, whose mean distance counts; with fewer references, all (with a warning).

    Raises:
        ValueError: a width that is not a multiple of the number of bands.
    """

    method = "k-nearest neighbors in each frequency band"
    uses_neighbors = True
    needs_bands = True

    def __init__(self, references: References, domain: str, k: int = 1) -> None:
        super().__init__(references, domain)
        k = usable_neighbors("k", k, len(self.vectors), domain)
        self._bands = [
            KnnBackend(replace(references, vectors=band), domain, k, "cosine")
            for band in references.layout.bands(references.vectors)
        ]

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """K, as for "knn"."""
        return KnnBackend.needed_recordings(settings)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        bands = zip(self._bands, self.references.layout.bands(queries), strict=True)
        return torch.stack([backend.distance(band) for backend, band in bands]).mean(dim=0)

    def leave_one_out(self) -> torch.Tensor:
        return torch.stack([backend.leave_one_out() for backend in self._bands]).mean(dim=0)
