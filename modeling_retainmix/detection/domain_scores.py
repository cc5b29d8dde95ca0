"""Anomaly scores from embeddings: the one path from references and queries to scores."""

from functools import cached_property

import numpy as np
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.microphones import build_backends
from modeling_retainmix.detection.normalization import distance_statistics, standardize
from modeling_retainmix.detection.settings import DetectorSettings


class DomainScores:
    """Score clips by their distance to the references of each domain; the smallest one counts.

    Detector, benchmark, studies and recordings all score through this class: distances of a backend, normalization
    between domains, minimum over domains, float64.

    Args:
        settings: backend, its options, microphones and normalization; layers, pooling and windows are not read from
            them. With references of one domain only, its distances are the scores.
        vectors: [n, D] float32 pooled references, on the device where the backend is to compute; [n, 2 * D], near and
            far end to end, for microphones other than "near".
        recording_index: [n] int64, the recording each vector comes from.
        is_target_domain: [n] bool, the domain of each.
        num_bands: frequency bands that lie end to end in a vector that was pooled over time.

    Attributes:
        recording_index: as given.
        domains: those that have references, source first.
        backends: {domain: its backend}.

    Raises:
        ValueError: no references, or too few for the backend.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        vectors: torch.Tensor,
        recording_index: torch.Tensor,
        is_target_domain: torch.Tensor,
        num_bands: int = 1,
    ) -> None:
        references = References(vectors, recording_index, is_target_domain, num_bands)
        self.recording_index, self.domains = recording_index, references.domains
        self.backends = build_backends(settings, references)
        self._normalization = settings.normalization

    def scores(self, queries: torch.Tensor) -> np.ndarray:
        """Score queries [n, D]: [n] float64; higher is more anomalous.

        Raises:
            ValueError: the statistics that the normalization needs do not exist, see `standardize` and the backend's
                `leave_one_out`.
        """
        return self.from_distances(self.distances(queries))

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Return the distances of queries [n, D] to each domain, [n, domains] on the CPU."""
        return torch.stack([backend.distance(queries) for backend in self.backends.values()], dim=1)

    def from_distances(self, distances: torch.Tensor) -> np.ndarray:
        """Score clips by their `distances` [n, domains]: [n] float64; errors as in `scores`."""
        return self.normalized(distances).amin(dim=1).double().numpy()

    def leave_one_out(self) -> np.ndarray:
        """Score the references, each without its recording: [n] float64; errors as in `scores`."""
        return self.from_distances(self._reference_distances)

    @property
    def lower_bound(self) -> float:
        """No score falls below it; errors as in `scores`."""
        bounds = torch.tensor([[backend.lower_bound for backend in self.backends.values()]])
        return float(self.normalized(bounds).amin())

    def check_references(self) -> None:
        """Raise now what scoring would raise because of the references, before any clip is embedded."""
        if self._normalization == "references":
            self.normalized(torch.zeros(1, len(self.domains)))

    def normalized(self, distances: torch.Tensor) -> torch.Tensor:
        """Make `distances` comparable between domains, [n, domains] both; errors as in `scores`."""
        if self._normalization == "none" or len(self.domains) == 1:
            return distances
        if self._normalization == "test":
            statistics = [distance_statistics(distance) for distance in distances.T]
        else:
            backends = zip(self._reference_distances.T, self.backends.values(), strict=True)
            statistics = [distance_statistics(distance[backend.rows]) for distance, backend in backends]
        columns = zip(distances.T, statistics, self.domains, strict=True)
        return torch.stack([standardize(*column) for column in columns], dim=1)

    @cached_property
    def _reference_distances(self) -> torch.Tensor:
        """Distances of the references, each without its recording, [n, domains]."""
        return torch.stack([backend.reference_distances() for backend in self.backends.values()], dim=1)
