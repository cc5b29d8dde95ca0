"""Fusion of several kinds of distances without labels."""

from collections.abc import Sequence

import torch

from modeling_retainmix.detection.backends.base import Bank
from modeling_retainmix.detection.normalization import distance_statistics, standardize


class FusionBank:
    """Several banks of the same references, of which the one that finds a clip most normal decides.

    The distances of every bank are standardised, domain by domain, with the mean and standard deviation that they have
    for the references of that domain, each scored without its own recording; then the smallest counts
    (arXiv 2606.19269).

    Args:
        banks: at least one, on the same references.

    Attributes:
        recording, is_target, domains: those of the banks.
        lowest: [1, domains], what no score falls below.

    Raises:
        ValueError: a bank has too few references to leave a recording out, or all of them have the same distance.
    """

    def __init__(self, banks: Sequence[Bank]) -> None:
        first = banks[0]
        self.recording, self.is_target = first.recording, first.is_target
        self.domains = first.domains
        self._banks = banks
        left_out = [bank.leave_one_out() for bank in banks]
        own = [self.is_target == (domain == "target") for domain in self.domains]
        self._stats = [
            [distance_statistics(column[rows]) for column, rows in zip(distances.T, own, strict=True)]
            for distances in left_out
        ]
        self._left_out = self._fuse(left_out)
        self.lowest = self._fuse([bank.lowest for bank in banks])

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """The smallest standardised distance of [n, D] queries in each domain, [n, domains]; may be negative."""
        return self._fuse([bank.distances(queries) for bank in self._banks])

    def leave_one_out(self) -> torch.Tensor:
        """What `distances` gives for the references, each without its own recording, [n, domains]."""
        return self._left_out

    def _fuse(self, distances: Sequence[torch.Tensor]) -> torch.Tensor:
        standardised = [
            torch.stack([standardize(*column) for column in zip(of_bank.T, stats, self.domains, strict=True)], dim=1)
            for of_bank, stats in zip(distances, self._stats, strict=True)
        ]
        return torch.stack(standardised).amin(dim=0)
