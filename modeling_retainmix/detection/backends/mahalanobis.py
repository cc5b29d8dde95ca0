"""Mahalanobis distance to a Gaussian of the references."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import torch

from modeling_retainmix.detection.backends.base import Backend, Contrast, References
from modeling_retainmix.detection.backends.within_domain import ReducedScatter, WithinDomainScatter
from modeling_retainmix.detection.nearest_search import nearest_neighbors
from modeling_retainmix.user_warnings import warn

Covariance = Literal["domain", "shared"]


class MahalanobisBackend(Backend):
    """A mean of the domain's references, and a shrunk covariance of them or of the references of both domains.

    The covariance is (1 - shrinkage) * C + shrinkage * trace(C) / D * I, with C the maximum-likelihood covariance, of
    the domain or, for "shared", of all references about the mean of their own domain. It is never formed: all
    distances come from the singular value decomposition of the centered references.

    If no reference differs from its mean, the covariance is the identity (with a warning): the distance is that to
    the mean.

    Args:
        references: of all domains.
        domain: "source" or "target".
        shrinkage: weight of the spherical part, 0 < shrinkage <= 1.
        covariance: "domain" or "shared".

    Attributes:
        scatter: C times the number of references that it is of.
    """

    method = "Mahalanobis distance"

    def __init__(
        self, references: References, domain: str, shrinkage: float = 0.1, covariance: Covariance = "domain"
    ) -> None:
        super().__init__(references, domain)
        self.shrinkage, self.covariance = shrinkage, covariance
        if covariance == "shared":
            self.scatter = references.shared(WithinDomainScatter)
        else:
            in_domain = (self.vectors, self.recording_index, references.is_target_domain[self.rows])
            self.scatter = WithinDomainScatter(References(*in_domain))
        self.mean = self.scatter.means[domain]
        if not self.scatter.trace > 0:
            other_cure = " or use backend='whitened'" if references.shared(WithinDomainScatter).trace > 0 else ""
            warn(
                f"the {domain} domain has too few different references for a covariance ({len(self.vectors)}): the "
                f"distance to their mean counts, add references{other_cure}"
            )

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """3 for a covariance of one domain, of which two remain when one is left out; 1 for a shared one."""
        return 1 if settings["covariance"] == "shared" else 3

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        along, across = self.scatter.eigenvalues(self.shrinkage)
        inside, outside = self.scatter.split(queries, self.domain)
        return ((inside.square() / along).sum(dim=1) + outside.square() / across).sqrt().float().cpu()

    def leave_one_out(self) -> torch.Tensor:
        """[m] distances of the references; each recording is taken out of mean and covariance (`ReducedScatter`).

        Infinite if the domain has no other recording.
        """
        return self._left_out[self.scatter.references.rows(self.domain)]

    def reference_distances(self) -> torch.Tensor:
        # A shared covariance changes for references of the other domain too.
        return self._left_out if self.covariance == "shared" else super().reference_distances()

    @property
    def has_contrast(self) -> bool:
        return True

    def contrast(self, query: torch.Tensor) -> Contrast:
        """How a query [D] differs from the mean, measured by the inverse covariance."""
        direction = self.scatter.inverse(query.to(self.mean) - self.mean, self.shrinkage)
        _, nearest = nearest_neighbors(query[None], self.vectors, 1)
        return Contrast(self.mean.cpu(), direction.cpu(), self.row(int(nearest)))

    @cached_property
    def _left_out(self) -> torch.Tensor:
        """Distances to this domain of all references that made the covariance, each without its recording."""
        references = self.scatter.references
        inside, outside = self.scatter.split(references.vectors, self.domain)
        outside[references.rows(self.domain).to(outside.device)] = 0  # but for rounding it is: they lie in the span
        distance = torch.empty(len(inside))
        for domain in references.domains:
            in_domain = references.rows(domain)
            for recording in references.recording_index[in_domain].unique():
                rows = in_domain & (references.recording_index == recording)
                reduced = ReducedScatter(self.scatter, domain, rows)
                mean = torch.zeros_like(inside[:1])
                if domain == self.domain:
                    mean -= reduced.shift
                alone = domain == self.domain and reduced.remaining == 0
                for row in rows.nonzero()[:, 0].tolist():
                    squared = reduced.squared_distances(inside[row], mean, outside[row], self.shrinkage)
                    distance[row] = torch.inf if alone else float(squared.sqrt())
        return distance
