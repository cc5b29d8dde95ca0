"""What every backend shares: the references of a machine, and a model of those of one domain."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch

from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.user_warnings import warn

DOMAINS = ("source", "target")

Shared = TypeVar("Shared")


@dataclass(frozen=True)
class References:
    """Embeddings of normal clips of one machine.

    Attributes:
        vectors: [n, D] float32 pooled embeddings, on the device where the backends compute.
        recording_index: [n] int64, the recording each vector comes from (a long one gives several).
        is_target_domain: [n] bool, the domain of each.
        layout: blocks and bands of a vector.

    Raises:
        ValueError: no vector.
    """

    vectors: torch.Tensor
    recording_index: torch.Tensor
    is_target_domain: torch.Tensor
    layout: VectorLayout = VectorLayout()  # noqa: RUF009
    _shared: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.vectors) == 0:
            raise ValueError("the machine has no references: fit on at least one normal clip")

    @property
    def domains(self) -> list[str]:
        """The domains that have references, source first."""
        return [domain for domain in DOMAINS if self.rows(domain).any()]

    def rows(self, domain: str) -> torch.Tensor:
        """Which references are of a domain, [n] bool."""
        return self.is_target_domain == (domain == "target")

    def num_recordings(self, domain: str) -> int:
        """How many recordings of a domain the references come from."""
        return len(self.recording_index[self.rows(domain)].unique())

    def shared(self, make: Callable[["References"], Shared]) -> Shared:
        """Return `make(self)`, computed once: what the models of all domains have in common, such as a covariance."""
        if make not in self._shared:
            self._shared[make] = make(self)
        value: Shared = self._shared[make]
        return value


class Contrast(NamedTuple):
    """A squared distance as an inner product: that of a query to its domain is <query - origin, direction>.

    Attributes:
        origin: [D] float64, what the query is compared with.
        direction: [D] float64.
        row: of the nearest reference among those of all domains; of a mixed one, that of its target reference.
    """

    origin: torch.Tensor
    direction: torch.Tensor
    row: int


class Backend(ABC):
    """A model of the references of one domain, and distances to it.

    A backend computes on the device of its references and takes queries of any device; its results are on the CPU.
    A new one is a file with a subclass and a line in `build.BACKENDS`. The subclass gives `method`, `distance` and
    `leave_one_out`; its constructor takes references and domain, and then the fields of `DetectorSettings` that it
    reads, under their names. What the models of both domains share comes from `References.shared`.

    Every backend takes any number of references from 1 up. With fewer than its model needs it falls back to a simpler
    distance, which its docstring states, and warns. Machines with two domains rarely come to that: a domain with fewer
    recordings than `needed_recordings` is pooled with the other one (`build.pool_domains`).

    Args:
        references: of all domains.
        domain: "source" or "target".

    Attributes:
        method: describes the method in a challenge submission.
        uses_neighbors: whether the distance depends on a number of nearest references.
        needs_bands: whether it reads the bands of `References.layout`.
        num_subsystems: models whose distances it combines.
        pools_domains: whether one model of all references serves both domains.
        lower_bound: no distance falls below it.
    """

    method: ClassVar[str]
    uses_neighbors: ClassVar[bool] = False
    needs_bands: ClassVar[bool] = False
    num_subsystems: ClassVar[int] = 1
    pools_domains: ClassVar[bool] = False
    lower_bound: float = 0.0

    def __init__(self, references: References, domain: str) -> None:
        self.references, self.domain = references, domain
        self.rows = references.rows(domain)

    @classmethod
    def needed_recordings(cls, settings: Mapping[str, Any]) -> int:
        """How many recordings of a domain a model of that domain alone needs.

        Args:
            settings: values by the names of `DetectorSettings`.
        """
        return 1

    @cached_property
    def vectors(self) -> torch.Tensor:
        """References of the domain, [m, D]."""
        return self.references.vectors[self.rows]

    @cached_property
    def recording_index(self) -> torch.Tensor:
        """The recording of each reference of the domain, [m]."""
        return self.references.recording_index[self.rows]

    def row(self, index: int) -> int:
        """Return the row, among the references of all domains, of this one of the domain."""
        return int(self.rows.nonzero()[index])

    @abstractmethod
    def distance(self, queries: torch.Tensor) -> torch.Tensor:
        """Distance of [n, D] queries to the domain, [n] float32; larger is more anomalous."""

    @abstractmethod
    def leave_one_out(self) -> torch.Tensor:
        """Distances of the domain's references, each to a model without its recording, [m] float32.

        Infinite where the domain has no other recording.
        """

    def reference_distances(self) -> torch.Tensor:
        """Distances of the references of all domains, each to a model without its recording, [n] float32.

        Infinite as in `leave_one_out`.
        """
        distance = self.distance(self.references.vectors)
        distance[self.rows] = self.leave_one_out()
        return distance

    @property
    def has_contrast(self) -> bool:
        """Whether `contrast` splits the squared distance of a clip."""
        return False

    def contrast(self, query: torch.Tensor) -> Contrast:
        """How a query [D] differs from the domain, for backends with `has_contrast`."""
        raise NotImplementedError(f"{type(self).__name__} does not split its distance")


def usable_neighbors(name: str, wanted: int, available: int, domain: str) -> int:
    """Return how many neighbors can be had: the setting `name` of `wanted`, or all that a domain has.

    Warns:
        UserWarning: they are fewer than wanted.
    """
    if available < wanted:
        warn(
            f"the {domain} domain has too few references for {name}={wanted}: it uses {available}, add references or "
            f"lower {name}"
        )
    return min(wanted, available)


def mean_of_finite(distances: torch.Tensor) -> torch.Tensor:
    """Mean over the last axis of the values that are not infinite; infinite where all are."""
    finite = distances.isfinite()
    count = finite.sum(dim=-1)
    total = distances.masked_fill(~finite, 0).sum(dim=-1)
    return torch.where(count > 0, total / count.clamp(min=1), torch.inf)
