"""How references vary about the mean of their domain: a covariance in their span, never as a matrix over features."""

import torch

from modeling_retainmix.detection.backends.base import References

_EQUAL = 1e-20  # of the vectors' squared length: a scatter below it is rounding
_CHUNK_ELEMENTS = 2**22  # of queries that are projected at a time: 32 MiB in float64


class WithinDomainScatter:
    """The scatter of references about the mean of their domain, with its axes.

    For residuals R [n, D] the covariance is S = R^T R / n. All that is needed of it lies in the span of the residuals:
    their singular value decomposition holds the eigenvectors and eigenvalues of both S and the Gram matrix R R^T, with
    more digits than the Gram matrix itself, in memory of n * D.

    Args:
        references: of one domain or several.

    Attributes:
        references: as given.
        means: {domain: [D] float64}.
        count, width: n and D.
        axes: [r, D] float64, orthonormal; none if the references do not vary within their domains.
        scatter: [r] float64, eigenvalues of n * S along the axes, descending.
        coordinates: [n, r] float64, the residuals along the axes.
        trace: of n * S.
    """

    def __init__(self, references: References) -> None:
        self.references = references
        residuals = references.vectors.double()
        energy = float(residuals.square().sum())
        self.count, self.width = residuals.shape
        self.means = {domain: residuals[references.rows(domain)].mean(dim=0) for domain in references.domains}
        for domain, mean in self.means.items():
            residuals[references.rows(domain)] -= mean
        varies = float(residuals.square().sum()) > _EQUAL * energy
        left, singular, axes = torch.linalg.svd(residuals if varies else residuals[:0], full_matrices=False)
        self.axes, self.scatter = axes, singular.square()
        self.coordinates = left * singular if varies else residuals.new_zeros(self.count, 0)
        self.trace = float(self.scatter.sum())

    def eigenvalues(self, shrinkage: float) -> tuple[torch.Tensor, float]:
        """Eigenvalues of (1 - shrinkage) * S + shrinkage * trace(S) / D * I along the axes, [r], and across them.

        Those of the identity if the references do not vary within their domains.
        """
        if not self.trace > 0:
            return self.scatter, 1.0
        floor = shrinkage * self.trace / (self.count * self.width)
        return (1 - shrinkage) / self.count * self.scatter + floor, floor

    def split(self, queries: torch.Tensor, domain: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Split queries [q, D], less the mean of a domain: coordinates along the axes [q, r], length across them [q].

        References of the domain have length 0 there: without the mean they lie in the span.
        """
        inside = self.axes.new_empty(len(queries), len(self.axes))
        outside = self.axes.new_empty(len(queries))
        size = max(1, _CHUNK_ELEMENTS // self.width)
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            centered = queries[part].to(self.axes) - self.means[domain]
            inside[part] = centered @ self.axes.T
            outside[part] = (centered - inside[part] @ self.axes).norm(dim=1)
        return inside, outside

    def inverse(self, difference: torch.Tensor, shrinkage: float) -> torch.Tensor:
        """Multiply a difference [D] by the inverse of the covariance of `eigenvalues`: [D] float64."""
        along, across = self.eigenvalues(shrinkage)
        difference = difference.to(self.axes)
        inside = self.axes @ difference
        outside = difference - self.axes.T @ inside
        return self.axes.T @ (inside / along) + outside / across

    def ledoit_wolf(self) -> float:
        """Return the shrinkage of Ledoit and Wolf (2004) for the residuals, from 0 to 1.

        Its two sums over the D x D matrix, sum((R^T R)^2) and sum((R^2)^T R^2), equal sums over the Gram matrix: the
        squared eigenvalues, and the squared squared lengths of the residuals.
        """
        if self.width == 1 or not self.trace > 0:
            return 0.0
        total = float(self.scatter.square().sum()) / self.count**2
        lengths = float(self.coordinates.square().sum(dim=1).square().sum()) / self.count
        mean = self.trace / (self.count * self.width)
        delta = (total - self.width * mean**2) / self.width
        beta = (lengths - total) / (self.width * self.count)
        # Both may be 0 but for rounding: beta for two residuals, delta where all directions have one variance.
        negligible = 1e-12 * total / self.width
        if beta <= negligible:
            return 0.0
        return 1.0 if delta <= beta else beta / delta
