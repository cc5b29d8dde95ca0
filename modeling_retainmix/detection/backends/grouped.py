"""Blocks of a vector that are compared apart, and joined as distances: what a clip is like, how fast it changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from modeling_retainmix.detection.backends.base import Backend, Contrast, References
from modeling_retainmix.detection.vector_layout import VectorLayout

Build = Callable[[References, str], Backend]


class GroupedBackend(Backend):
    """Distances of the groups of a layout, each in units of what normal clips have, joined as one distance.

    d = sum over groups of w_g d_g / m_g, where m_g is the median over the references, each scored without its
    recording, of the distance d_g to the nearer domain, and w_g is 1, but `change_weight` for changes. m_g is one for
    both domains, so that these compare as before; without a reference that can be left out, or with copies alone, it
    is 1. One covariance of all blocks would let noise in one of them hide a fault in another, and a root of summed
    squares lets the largest one decide: both did worse. Two groups, of changes and of the rest, lost on the factory.

    Args:
        members: a backend of this domain for each group, in the order of the layout.
        scales: m_g / w_g of each.
        layout: of a whole vector.
    """

    method = "sum of distances, in units of those of normal clips"

    def __init__(self, members: Sequence[Backend], scales: Sequence[float], layout: VectorLayout) -> None:
        super().__init__(members[0].references, members[0].domain)
        self.members, self.scales, self.layout = list(members), list(scales), layout

    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        parts = self.layout.split_groups(queries)
        return self._join([member.distance(part) for member, part in zip(self.members, parts, strict=True)])

    def leave_one_out(self) -> torch.Tensor:
        return self.reference_distances()[self.rows]

    def reference_distances(self) -> torch.Tensor:
        return self._join([member.reference_distances() for member in self.members])

    @property
    def has_contrast(self) -> bool:
        return all(member.has_contrast for member in self.members)

    def contrast(self, query: torch.Tensor) -> Contrast:
        """Contrasts of the groups end to end, which share d^2 as they share d; the row is that of the first group."""
        queries = self.layout.split_groups(query)
        parts = [member.contrast(one) for member, one in zip(self.members, queries, strict=True)]
        weights = []
        for one, part, scale in zip(queries, parts, self.scales, strict=True):
            square = (one.double().cpu() - part.origin) @ part.direction
            weights.append(float(square) ** -0.5 / scale if square > 0 else 0.0)
        total = float(self.distance(query[None]))
        directions = [total * weight * part.direction for part, weight in zip(parts, weights, strict=True)]
        return Contrast(torch.cat([part.origin for part in parts]), torch.cat(directions), parts[0].row)

    def _join(self, distances: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack([one / scale for one, scale in zip(distances, self.scales, strict=True)]).sum(dim=0)


def grouped_backends(references: References, build: Build, change_weight: float = 1.0) -> Mapping[str, Backend]:
    """Fit a backend to every domain: one of each group where the layout has several.

    Args:
        references: of all domains.
        build: fits the backend to references and a domain.
        change_weight: of each group of changes.

    Returns:
        {domain: backend}, source first.

    Raises:
        ValueError: several groups and a backend whose distances may be negative.
    """
    layout = references.layout
    if len(layout.groups) == 1:
        return {domain: build(references, domain) for domain in references.domains}
    vectors = layout.split_groups(references.vectors)
    groups = [
        replace(references, vectors=part, layout=part_layout)
        for part, part_layout in zip(vectors, layout.groups, strict=True)
    ]
    members = [{domain: build(group, domain) for domain in references.domains} for group in groups]
    if any(backend.lower_bound < 0 for group in members for backend in group.values()):
        raise ValueError(
            "blocks of changes are compared apart, in units of normal distances, which this backend standardizes or "
            "makes negative: use backend='whitened' or 'knn', or read no 'change-K'"
        )
    weights = [change_weight if changes else 1.0 for changes in layout.are_changes]
    scales = [_typical_distance(list(group.values())) / weight for group, weight in zip(members, weights, strict=True)]
    return {
        domain: GroupedBackend([group[domain] for group in members], scales, layout) for domain in references.domains
    }


def _typical_distance(backends: Sequence[Backend]) -> float:
    nearest = torch.stack([backend.reference_distances() for backend in backends]).amin(dim=0)
    finite = nearest[nearest.isfinite()]
    return (float(finite.median()) if len(finite) else 0.0) or 1.0
