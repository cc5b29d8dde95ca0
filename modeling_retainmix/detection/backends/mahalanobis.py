"""Mahalanobis distance to a Gaussian of the references."""

import torch

from modeling_retainmix.detection.backends.base import Backend, Contrast, References
from modeling_retainmix.detection.nearest_search import nearest_neighbors


class MahalanobisBackend(Backend):
    """A mean and a shrunk covariance of the domain's references.

    The covariance is (1 - shrinkage) * C + shrinkage * trace(C) / D * I, with C the maximum-likelihood covariance. It
    is never formed: all distances come from the singular value decomposition of the m centered references.

    Args:
        references: of all domains.
        domain: "source" or "target".
        shrinkage: weight of the spherical part, 0 < shrinkage <= 1.

    Raises:
        ValueError: the references do not vary.
    """

    method = "Mahalanobis distance"

    def __init__(self, references: References, domain: str, shrinkage: float = 0.1) -> None:
        super().__init__(references, domain)
        self.shrinkage = shrinkage
        self.count, self.width = self.vectors.shape
        self.mean = self.vectors.double().mean(dim=0)
        centered = self.vectors.double() - self.mean
        left, singular, self._axes = torch.linalg.svd(centered, full_matrices=False)  # axes [r, D]
        self._scatter = singular.square()  # [r] eigenvalues of the scatter matrix, which is m * C
        self._coordinates = left * singular  # [m, r] of the references
        self._check(float(self._scatter.sum()), self.count)
        # eigenvalues of the covariance: of its part in the span of the references, and of its spherical part
        self._weighted_scatter = (1 - shrinkage) / self.count * self._scatter
        self._floor = shrinkage * self._scatter.sum() / (self.count * self.width)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        centered = queries.to(self.mean) - self.mean
        inside = centered @ self._axes.T
        outside = (centered.square().sum(dim=1) - inside.square().sum(dim=1)).clamp(min=0)
        inside = (inside.square() / (self._weighted_scatter + self._floor)).sum(dim=1)
        return (inside + outside / self._floor).sqrt().float().cpu()

    def leave_one_out(self) -> torch.Tensor:
        """[m] distances of the references; each recording is taken out of mean and covariance by a low-rank update.

        With u_j = x_j - mean for the w vectors of a recording and m' = m - w vectors left, the mean moves by
        -sum(u_j) / m' and the scatter loses A A^T, A = [u_1, ..., u_w, sum(u_j) / sqrt(m')]; Woodbury's identity gives
        the inverse. All of it lies in the span of the references.

        Raises:
            ValueError: without a recording, the references do not vary.
        """
        distance = torch.empty(self.count)
        for recording in self.recording_index.unique():
            rows = self.recording_index == recording
            windows = self._coordinates[rows]  # [w, r]
            left = self.count - len(windows)
            total = windows.sum(dim=0)
            removed = torch.cat([windows, total[None] / max(left, 1) ** 0.5])  # A^T, [w + 1, r]
            trace = float(self._scatter.sum() - removed.square().sum())
            self._check(trace, left)
            weight = (1 - self.shrinkage) / left
            diagonal = weight * self._scatter + self.shrinkage * trace / (left * self.width)
            queries = windows + total / left
            small = torch.eye(len(removed)).to(removed) - weight * (removed / diagonal @ removed.T)
            projected = queries / diagonal @ removed.T  # [w, w + 1]
            squared = (queries.square() / diagonal).sum(dim=1)
            squared += weight * (projected @ torch.linalg.inv(small) * projected).sum(dim=1)
            distance[rows] = squared.clamp(min=0).sqrt().float().cpu()
        return distance

    @property
    def has_contrast(self) -> bool:
        return True

    def contrast(self, query: torch.Tensor) -> Contrast:
        """How a query [D] differs from the mean, measured by the inverse covariance."""
        centered = query.to(self.mean) - self.mean
        inside = self._axes @ centered
        scaled = inside / (self._weighted_scatter + self._floor) - inside / self._floor
        direction = self._axes.T @ scaled + centered / self._floor
        _, nearest = nearest_neighbors(query[None], self.vectors, 1)
        return Contrast(self.mean.cpu(), direction.cpu(), int(self.recording_index[int(nearest)]))

    def _check(self, trace: float, count: int) -> None:
        if count < 2 or not trace > 1e-9 * float(self._scatter.sum()):
            rest = " without the one that is left out" if count < self.count else ""
            raise ValueError(
                f"the {self.domain} domain has too few different references for a covariance ({count}{rest}; a "
                "score needs two, a threshold or two domains three): add references, or use backend='knn'"
            )
