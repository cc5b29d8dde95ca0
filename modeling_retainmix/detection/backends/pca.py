"""PCA residual: how much of a clip lies outside the space in which the references vary."""

from collections.abc import Mapping
from typing import Any

import torch

from modeling_retainmix.detection.backends.base import Backend, References

_NUM_FOLDS = 20


class PcaBackend(Backend):
    """The principal subspace of the domain's references.

    The distance is the length of what remains of a vector, less the mean, without its components along the first
    principal axes. Of one reference, or equal ones, there are no axes: the distance is that to their mean.

    Args:
        references: of all domains.
        domain: "source" or "target".
        explained_variance: share of the references' variance that the axes hold at least, between 0 and 1.
    """

    method = "residual of a principal component analysis"

    def __init__(self, references: References, domain: str, explained_variance: float = 0.95) -> None:
        super().__init__(references, domain)
        self.explained_variance = explained_variance
        self._subspace = _Subspace(self.vectors.double(), explained_variance)

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """3, of which two remain when one is left out."""
        return 3

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        return self._subspace.residual(queries)

    def leave_one_out(self) -> torch.Tensor:
        """Residuals of the references in subspaces that were fitted without their recording, [m] float32.

        Up to 20 recordings are left out one by one. More are dealt out to 20 parts, and each part is left out as a
        whole: a subspace for every one of a thousand references would take minutes. Infinite if the domain has one
        recording only.
        """
        recordings, number = self.recording_index.unique(return_inverse=True)
        if len(recordings) == 1:
            return torch.full((len(number),), torch.inf)
        fold = number % min(_NUM_FOLDS, len(recordings))
        # All references lie in the span of their axes: a rotation into it keeps every distance.
        vectors = self.vectors.double()
        coordinates = (vectors - vectors.mean(dim=0)) @ self._subspace.span.T
        residual = torch.empty(len(vectors))
        for part in fold.unique():
            out = fold == part
            residual[out] = _Subspace(coordinates[~out], self.explained_variance).residual(coordinates[out])
        return residual


class _Subspace:
    """Mean and principal axes of vectors [m, D] float64: `span` [r, D] holds all, `axes` [c, D] the first ones."""

    def __init__(self, vectors: torch.Tensor, explained_variance: float) -> None:
        self.mean = vectors.mean(dim=0)
        _, singular, self.span = torch.linalg.svd(vectors - self.mean, full_matrices=False)
        explained = singular.square().cumsum(dim=0)
        self.axes = self.span[: int((explained < explained_variance * explained[-1]).sum()) + 1]
        if not explained[-1] > 0:
            self.axes = self.span[:0]  # the vectors are equal

    def residual(self, queries: torch.Tensor) -> torch.Tensor:
        centered = queries.to(self.mean) - self.mean
        return (centered - centered @ self.axes.T @ self.axes).norm(dim=1).float().cpu()
