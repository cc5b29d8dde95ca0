"""How references vary about the mean of their domain: a covariance in their span, never as a matrix over features."""

import torch

from modeling_retainmix.detection.backends.base import References

_EQUAL = 1e-20  # of the vectors' squared length: a scatter below it is rounding
_LEAST_EIGENVALUE = 1e-11  # of the largest one: below, the axes that a Gram matrix gives are no longer orthogonal
_CHUNK_ELEMENTS = 2**22  # of queries that are projected at a time: 32 MiB in float64


class WithinDomainScatter:
    """The scatter of references about the mean of their domain, with its axes.

    For residuals R [n, D] the covariance is S = R^T R / n. All that is needed of it lies in the span of the residuals:
    the Gram matrix R R^T [n, n] has its eigenvalues, and its eigenvectors times R are those of S. With more references
    than features, the singular value decomposition of R has both. Memory is n * D.

    Args:
        references: of one domain or several.

    Attributes:
        references: as given.
        means: {domain: [D] float64}.
        count, width: n and D.
        axes: [r, D] float64, orthonormal; none if the references do not vary within their domains.
        scatter: [r] float64, eigenvalues of n * S along the axes.
        coordinates: [n, r] float64, the residuals along the axes; `lengths` [n] are their squared lengths.
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
        if float(residuals.square().sum()) > _EQUAL * energy:
            self.coordinates, self.scatter, self.axes = _principal_axes(residuals)
        else:
            self.coordinates, self.scatter, self.axes = residuals[:, :0], residuals.new_empty(0), residuals[:0]
        self.lengths = self.coordinates.square().sum(dim=1)
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
        return _ledoit_wolf(self.trace, float(self.scatter.square().sum()), self.lengths, self.width)

    def whitening_shrinkage(self) -> float:
        """Return max(Ledoit-Wolf shrinkage, 1 / (1 + n - m)), above 0 for any n references of m domains."""
        return max(self.ledoit_wolf(), 1 / (1 + self.count - len(self.means)))


class ReducedScatter:
    """What `WithinDomainScatter` would be without one recording, by a low-rank update.

    With u_j = x_j - mean for the w vectors of the recording and m' = m - w vectors left in its domain, the mean moves
    by -sum(u_j) / m' and the scatter loses A A^T, A = [u_1, ..., u_w, sum(u_j) / sqrt(m')]. Where the references do
    not vary without the recording, the whole scatter is held.

    Args:
        whole: with all recordings.
        domain: of the recording.
        rows: [n] bool, its vectors.

    Attributes:
        remaining: m'.
        shift: [r] float64, the mean of the domain moves by -shift along the axes.
        count, trace: as those of `whole`.
    """

    def __init__(self, whole: WithinDomainScatter, domain: str, rows: torch.Tensor) -> None:
        windows = whole.coordinates[rows]
        rest = whole.references.rows(domain) & ~rows
        self._whole = whole
        self.remaining = int(rest.sum())
        self.shift = windows.sum(dim=0) / max(self.remaining, 1)
        self._removed = torch.cat([windows, self.shift[None] * self.remaining**0.5])  # A^T, [w + 1, r]
        self.count = whole.count - len(windows)
        self.trace = whole.trace - float(self._removed.square().sum())
        self._held = self.count < 2 or not self.trace > 1e-9 * whole.trace
        if self._held:
            self._removed, self.count, self.trace = self._removed[:0], whole.count, whole.trace
            return
        self._rows, self._rest = rows, rest
        self._degrees = self.count - len(whole.means) + (self.remaining == 0)

    def whitening_shrinkage(self) -> float:
        """As in `WithinDomainScatter`."""
        if self._held:
            return self._whole.whitening_shrinkage()
        overlap = self._removed @ self._removed.T
        squares = self._whole.scatter.square().sum() + overlap.square().sum()
        squares -= 2 * (self._removed.square() @ self._whole.scatter).sum()
        lengths, moved = self._whole.lengths, self._whole.coordinates @ self.shift
        in_rest = self._rest.to(lengths.device)
        lengths = torch.where(in_rest, lengths + 2 * moved + self.shift.square().sum(), lengths)
        lengths = lengths[~self._rows.to(lengths.device)]
        return max(_ledoit_wolf(self.trace, float(squares), lengths, self._whole.width), 1 / (1 + self._degrees))

    def squared_distances(
        self, query: torch.Tensor, bank: torch.Tensor, outside: torch.Tensor, shrinkage: float
    ) -> torch.Tensor:
        """Squared distances [b] by the inverse of the shrunk covariance, from Woodbury's identity.

        Args:
            query: [r] float64, along the axes.
            bank: [b, r] float64, what it is compared with.
            outside: float64 scalar, the length of their difference across the axes.
            shrinkage: weight of the spherical part.
        """
        weight = (1 - shrinkage) / self.count
        floor = shrinkage * self.trace / (self.count * self._whole.width) if self._whole.trace > 0 else 1.0
        diagonal = weight * self._whole.scatter + floor
        small = torch.eye(len(self._removed)).to(query) - weight * (self._removed / diagonal @ self._removed.T)
        scaled = query / diagonal
        # Products with the bank instead of differences, which would be another matrix of its size.
        squared = scaled @ query - 2 * (bank @ scaled) + bank.square() @ diagonal.reciprocal()
        projected = scaled @ self._removed.T - bank @ (self._removed / diagonal).T  # [b, w + 1]
        squared += weight * (projected @ torch.linalg.inv(small) * projected).sum(dim=1)
        return (squared + outside.square() / floor).clamp(min=0)


def _principal_axes(residuals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Coordinates [n, r], eigenvalues of the scatter matrix [r] and axes [r, D] of residuals [n, D]."""
    if len(residuals) > residuals.shape[1]:
        left, singular, axes = torch.linalg.svd(residuals, full_matrices=False)
        keep = singular > _LEAST_EIGENVALUE**0.5 * singular.max()
        return (left * singular)[:, keep], singular[keep].square(), axes[keep]
    scatter, left = torch.linalg.eigh(residuals @ residuals.T)
    keep = scatter > _LEAST_EIGENVALUE * scatter.max()
    scatter, left = scatter[keep], left[:, keep]
    return left * scatter.sqrt(), scatter, (left.T @ residuals) / scatter.sqrt()[:, None]


def _ledoit_wolf(trace: float, squares: float, lengths: torch.Tensor, width: int) -> float:
    """Shrinkage from trace and sum of squares of R^T R [D, D], and the squared lengths [n] of the residuals."""
    if width == 1 or not trace > 0:
        return 0.0
    count = len(lengths)
    total = squares / count**2
    mean = trace / (count * width)
    delta = (total - width * mean**2) / width
    beta = (float(lengths.square().sum()) / count - total) / (width * count)
    # Both may be 0 but for rounding: beta for two residuals, delta where all directions have one variance.
    if beta <= 1e-12 * total / width:
        return 0.0
    return 1.0 if delta <= beta else beta / delta
