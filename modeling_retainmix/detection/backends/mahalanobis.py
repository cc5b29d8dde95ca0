"""Mahalanobis distances to a Gaussian for each domain, with the same calls as the nearest-neighbour bank."""

import torch

from modeling_retainmix.detection.backends.base import Contrast
from modeling_retainmix.detection.backends.knn import DOMAINS
from modeling_retainmix.detection.nearest_search import nearest_neighbours


class GaussianBank:
    """A mean and a shrunk covariance of the reference vectors of each domain.

    The covariance is (1 - shrinkage) * C + shrinkage * trace(C) / D * I, with C the maximum-likelihood covariance. It
    is never formed: all distances come from the singular value decomposition of the n centred references.

    Args:
        vectors: [n, D] float32 pooled references.
        recording: [n] int64, the recording each vector comes from.
        is_target: [n] bool, the domain of each.
        shrinkage: weight of the spherical part, 0 < shrinkage <= 1.

    Attributes:
        domains: those that have references, source first.
        lowest: [1, domains], what no distance falls below: 0.

    Raises:
        ValueError: no vector, or a domain whose vectors do not vary.
    """

    def __init__(
        self, vectors: torch.Tensor, recording: torch.Tensor, is_target: torch.Tensor, shrinkage: float = 0.1
    ) -> None:
        if len(vectors) == 0:
            raise ValueError("the machine has no references: fit on at least one normal clip")
        self.vectors, self.recording, self.is_target = vectors, recording, is_target
        of_domain = {domain: is_target == (domain == "target") for domain in DOMAINS}
        self.domains = [domain for domain in DOMAINS if of_domain[domain].any()]
        self.lowest = torch.zeros(1, len(self.domains))
        self._gaussians = {
            d: _Gaussian(vectors[of_domain[d]], recording[of_domain[d]], d, shrinkage) for d in self.domains
        }

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Mahalanobis distance of [n, D] queries to each domain, [n, domains]."""
        return torch.stack([self._gaussians[domain].distance(queries) for domain in self.domains], dim=1)

    def contrast(self, query: torch.Tensor, domain: str) -> Contrast:
        """How a query [D] differs from the mean of a domain, measured by the inverse covariance."""
        rows = torch.nonzero(self.is_target == (domain == "target")).flatten()
        _, nearest = nearest_neighbours(query[None], self.vectors[rows], 1)
        gaussian = self._gaussians[domain]
        return Contrast(gaussian.mean.cpu(), gaussian.whitened(query), int(self.recording[rows[int(nearest)]]))

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references to Gaussians without their own recording, [n, domains].

        Raises:
            ValueError: without a recording, a domain's vectors do not vary.
        """
        columns = []
        for domain in self.domains:
            column = self._gaussians[domain].distance(self.vectors)
            column[self.is_target == (domain == "target")] = self._gaussians[domain].leave_one_out()
            columns.append(column)
        return torch.stack(columns, dim=1)


class _Gaussian:
    """The Gaussian of one domain."""

    def __init__(self, vectors: torch.Tensor, recording: torch.Tensor, domain: str, shrinkage: float) -> None:
        self.recording, self.domain, self.shrinkage = recording, domain, shrinkage
        self.count, self.width = vectors.shape
        self.mean = vectors.double().mean(dim=0)
        centred = vectors.double() - self.mean
        left, singular, self.axes = torch.linalg.svd(centred, full_matrices=False)  # axes [r, D]
        self.scatter = singular.square()  # [r] eigenvalues of the scatter matrix, which is n * C
        self.coordinates = left * singular  # [n, r] of the references
        self._check(float(self.scatter.sum()), self.count)
        # eigenvalues of the covariance: of its part in the span of the references, and of its spherical part
        self._weighted_scatter = (1 - shrinkage) / self.count * self.scatter
        self._floor = shrinkage * self.scatter.sum() / (self.count * self.width)

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        centred = queries.to(self.mean) - self.mean
        inside = centred @ self.axes.T
        outside = (centred.square().sum(dim=1) - inside.square().sum(dim=1)).clamp(min=0)
        inside = (inside.square() / (self._weighted_scatter + self._floor)).sum(dim=1)
        return (inside + outside / self._floor).sqrt().float().cpu()

    def whitened(self, query: torch.Tensor) -> torch.Tensor:
        """Inverse covariance times a query [D] less the mean, [D] on the CPU."""
        centred = query.to(self.mean) - self.mean
        inside = self.axes @ centred
        scaled = inside / (self._weighted_scatter + self._floor) - inside / self._floor
        return (self.axes.T @ scaled + centred / self._floor).cpu()

    def leave_one_out(self) -> torch.Tensor:
        """[n] distances of the references; each recording is taken out of mean and covariance by a low-rank update.

        With u_j = x_j - mean for the w vectors of a recording and n' = n - w vectors left, the mean moves by
        -sum(u_j) / n' and the scatter loses A A^T, A = [u_1, ..., u_w, sum(u_j) / sqrt(n')]; Woodbury's identity gives
        the inverse. All of it lies in the span of the references.
        """
        distance = torch.empty(self.count)
        for recording in self.recording.unique():
            rows = self.recording == recording
            own = self.coordinates[rows]  # [w, r]
            left = self.count - len(own)
            total = own.sum(dim=0)
            removed = torch.cat([own, total[None] / max(left, 1) ** 0.5])  # A^T, [w + 1, r]
            trace = float(self.scatter.sum() - removed.square().sum())
            self._check(trace, left)
            weight = (1 - self.shrinkage) / left
            diagonal = weight * self.scatter + self.shrinkage * trace / (left * self.width)
            queries = own + total / left
            small = torch.eye(len(removed)).to(removed) - weight * (removed / diagonal @ removed.T)
            projected = queries / diagonal @ removed.T  # [w, w + 1]
            squared = (queries.square() / diagonal).sum(dim=1)
            squared += weight * (projected @ torch.linalg.inv(small) * projected).sum(dim=1)
            distance[rows] = squared.clamp(min=0).sqrt().float().cpu()
        return distance

    def _check(self, trace: float, count: int) -> None:
        if count < 2 or not trace > 1e-9 * float(self.scatter.sum()):
            rest = " without the one that is left out" if count < self.count else ""
            raise ValueError(
                f"the {self.domain} domain has too few different references for a covariance ({count}{rest}; a "
                "score needs two, a threshold or two domains three): add references, or use backend='knn'"
            )
