"""A bank of references whose distances are made comparable between domains."""

from functools import cached_property

import torch

from modeling_retainmix.detection.backends.base import Bank
from modeling_retainmix.detection.normalization import distance_statistics, standardize
from modeling_retainmix.detection.settings import Normalization


class NormalizedBank:
    """Anomaly scores against each domain; the smallest one is a clip's score.

    Args:
        bank: the references.
        normalization: between domains, see `DetectorSettings`. Where there is one domain only, its distances are
            taken as they are.

    Attributes:
        bank: as given.
    """

    def __init__(self, bank: Bank, normalization: Normalization) -> None:
        self.bank = bank
        self._normalization = normalization

    def scores(self, queries: torch.Tensor) -> torch.Tensor:
        """Scores of [n, D] queries against each domain, [n, domains]; higher is more anomalous.

        Raises:
            ValueError: the statistics that the normalisation needs do not exist, see `standardize` and the bank's
                `leave_one_out`.
        """
        return self.normalized(self.bank.distances(queries))

    def leave_one_out(self) -> torch.Tensor:
        """Scores of the references, each without its own recording, [n, domains]; errors as in `scores`."""
        return self.normalized(self._left_out)

    def lowest(self) -> float:
        """What no score falls below; errors as in `scores`."""
        return float(self.normalized(self.bank.lowest).amin())

    def normalized(self, distances: torch.Tensor) -> torch.Tensor:
        """Scores from the bank's `distances`, both [n, domains]; errors as in `scores`."""
        bank = self.bank
        if self._normalization == "none" or len(bank.domains) == 1:
            return distances
        if self._normalization == "test":
            stats = [distance_statistics(distance) for distance in distances.T]
        else:
            own = (~bank.is_target, bank.is_target)
            stats = [distance_statistics(column[rows]) for column, rows in zip(self._left_out.T, own, strict=True)]
        columns = zip(distances.T, stats, bank.domains, strict=True)
        return torch.stack([standardize(*column) for column in columns], dim=1)

    @cached_property
    def _left_out(self) -> torch.Tensor:
        return self.bank.leave_one_out()
