"""What every bank of references offers."""

from typing import NamedTuple, Protocol

import torch


class Contrast(NamedTuple):
    """A squared distance as an inner product: that of a query to its domain is <query - origin, direction>.

    Attributes:
        origin: [D] float64, what the query is compared with.
        direction: [D] float64.
        recording: of the nearest reference; of a mixed one, that of its target reference.
    """

    origin: torch.Tensor
    direction: torch.Tensor
    recording: int


class Bank(Protocol):
    """Reference vectors of one machine, and distances to them.

    A bank computes on the device of its vectors and takes queries of any device; what it says is on the CPU.

    Attributes:
        recording: [n] int64, the recording each vector comes from.
        is_target: [n] bool, the domain of each.
        domains: those that have references, source first.
        lowest: [1, domains], what no distance falls below.
    """

    recording: torch.Tensor
    is_target: torch.Tensor
    domains: list[str]
    lowest: torch.Tensor

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Distances of [n, D] queries to each domain, [n, domains]; larger is more anomalous."""

    def leave_one_out(self) -> torch.Tensor:
        """Distances of the references, each without its own recording, [n, domains]."""
