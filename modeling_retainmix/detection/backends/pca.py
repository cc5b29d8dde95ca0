"""PCA residuals: how much of a clip lies outside the space in which the references vary."""

import torch

from modeling_retainmix.detection.backends.knn import DOMAINS

_NUM_FOLDS = 20


class SubspaceBank:
    """The principal subspace of the reference vectors of each domain.

    A distance is the length of what remains of a vector, less the mean, without its components along the first
    principal axes.

    Args:
        vectors: [n, D] float32 pooled references.
        recording: [n] int64, the recording each vector comes from.
        is_target: [n] bool, the domain of each.
        variance: share of the references' variance that the axes hold at least, 0 < variance < 1.

    Attributes:
        domains: those that have references, source first.
        lowest: [1, domains], what no distance falls below: 0.

    Raises:
        ValueError: no vector.
    """

    def __init__(
        self, vectors: torch.Tensor, recording: torch.Tensor, is_target: torch.Tensor, variance: float = 0.95
    ) -> None:
        if len(vectors) == 0:
            raise ValueError("the machine has no references: fit on at least one normal clip")
        self.vectors, self.recording, self.is_target, self.variance = vectors, recording, is_target, variance
        of_domain = {domain: is_target == (domain == "target") for domain in DOMAINS}
        self.domains = [domain for domain in DOMAINS if of_domain[domain].any()]
        self._subspaces = {d: _Subspace(vectors[of_domain[d]].double(), variance) for d in self.domains}
        self.lowest = torch.zeros(1, len(self.domains))

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Length of the residual of [n, D] queries in each domain, [n, domains]."""
        return torch.stack([self._subspaces[domain].residual(queries) for domain in self.domains], dim=1)

    def leave_one_out(self) -> torch.Tensor:
        """Residuals of the references in subspaces that were fitted without their own recording, [n, domains].

        Up to 20 recordings of a domain are left out one by one. More are dealt out to 20 parts, and each part is left
        out as a whole: a subspace for every one of a thousand references would take minutes.

        Raises:
            ValueError: a domain has one recording only.
        """
        columns = []
        for domain in self.domains:
            own = self.is_target == (domain == "target")
            column = self._subspaces[domain].residual(self.vectors)
            column[own] = self._leave_out(domain, self.vectors[own].double(), self.recording[own])
            columns.append(column)
        return torch.stack(columns, dim=1)

    def _leave_out(self, domain: str, vectors: torch.Tensor, recording: torch.Tensor) -> torch.Tensor:
        recordings, number = recording.unique(return_inverse=True)
        if len(recordings) == 1:
            raise ValueError(
                f"the {domain} domain has one recording, which cannot be left out: add references, or use "
                "normalization='none'"
            )
        fold = number % min(_NUM_FOLDS, len(recordings))
        # All references lie in the span of their own axes: a rotation into it keeps every distance.
        coordinates = (vectors - vectors.mean(dim=0)) @ self._subspaces[domain].span.T
        residual = torch.empty(len(vectors))
        for part in fold.unique():
            out = fold == part
            residual[out] = _Subspace(coordinates[~out], self.variance).residual(coordinates[out])
        return residual


class _Subspace:
    """Mean and principal axes of vectors [n, D] float64: `span` [r, D] holds all, `axes` [c, D] the first ones."""

    def __init__(self, vectors: torch.Tensor, variance: float) -> None:
        self.mean = vectors.mean(dim=0)
        _, singular, self.span = torch.linalg.svd(vectors - self.mean, full_matrices=False)
        share = singular.square().cumsum(dim=0)
        self.axes = self.span[: int((share < variance * share[-1]).sum()) + 1]
        if not share[-1] > 0:
            self.axes = self.span[:0]  # the vectors are equal

    def residual(self, queries: torch.Tensor) -> torch.Tensor:
        centred = queries.to(self.mean) - self.mean
        return (centred - centred @ self.axes.T @ self.axes).norm(dim=1).float().cpu()
