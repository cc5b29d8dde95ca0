"""Anomaly scores from embeddings: the one path from references and queries to scores."""

import math
import warnings
from functools import cached_property

import numpy as np
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.build import pool_domains
from modeling_retainmix.detection.microphones import build_backends
from modeling_retainmix.detection.normalization import DistanceStatistics, distance_statistics, standardize
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.user_warnings import warn


class DomainScores:
    """Score clips by their distance to the references of each domain; the smallest one counts.

    Detector, benchmark, studies and recordings all score through this class: distances of a backend, normalization
    between domains, minimum over domains, float64.

    Any number of references from 1 up gives scores. A domain with too few recordings for the backend is pooled with
    the other one (`pool_domains`), a backend falls back to a simpler distance as its docstring states, and where
    leave-one-out distances do not exist or do not vary there is no normalization; all of these warn.

    Args:
        settings: backend, its options, microphones and normalization; layers, pooling and windows are not read from
            them. With references of one domain only, its distances are the scores.
        vectors: [n, D] float32 pooled references, on the device where the backend is to compute; [n, 2 * D], near and
            far end to end, where `settings.has_two_vectors`.
        recording_index: [n] int64, the recording each vector comes from, or the group of recordings that are left out
            together.
        is_target_domain: [n] bool, the domain of each.
        layout: blocks and bands of a vector, or of its near half; blocks of unlike units are scaled.

    Attributes:
        recording_index: as given.
        domains: those that have a model, source first; one if both are pooled.
        backends: {domain: its backend}.
        divisors: [blocks] float64, what each block of a vector is divided by (`VectorLayout.divisors`).

    Raises:
        ValueError: no references, or vectors that do not divide into the bands of the backend.

    Warns:
        UserWarning: fallbacks as above.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        vectors: torch.Tensor,
        recording_index: torch.Tensor,
        is_target_domain: torch.Tensor,
        layout: VectorLayout = VectorLayout(),  # noqa: B008
    ) -> None:
        self._layout = layout
        self._microphones = 2 if settings.has_two_vectors else 1
        self.divisors = layout.divisors(vectors.chunk(self._microphones, dim=1)[0], is_target_domain)
        references = References(self.scaled(vectors), recording_index, is_target_domain, layout)
        references = pool_domains(references, settings.to_dict())
        self.recording_index, self.domains = recording_index, references.domains
        self.backends = build_backends(settings, references)
        self._settings, self._references = settings, references
        self._normalization = settings.normalization

    def scores(self, queries: torch.Tensor) -> np.ndarray:
        """Score queries [n, D]: [n] float64; higher is more anomalous.

        Raises:
            ValueError: normalization="test" and distances that do not vary.
        """
        return self.from_distances(self.distances(queries))

    def distances(self, queries: torch.Tensor) -> torch.Tensor:
        """Return the distances of queries [n, D] to each domain, [n, domains] on the CPU."""
        queries = self.scaled(queries)
        return torch.stack([backend.distance(queries) for backend in self.backends.values()], dim=1)

    def scaled(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return vectors [..., D] as the backends compare them, each block divided by its `divisors`."""
        if not self._layout.is_scaled:
            return vectors
        by_microphone = vectors.chunk(self._microphones, dim=-1)
        return torch.cat([self._layout.scale(part, self.divisors) for part in by_microphone], dim=-1)

    def from_distances(self, distances: torch.Tensor) -> np.ndarray:
        """Score clips by their `distances` [n, domains]: [n] float64; errors as in `scores`."""
        return self.normalized(distances).amin(dim=1).double().numpy()

    def leave_one_out(self) -> np.ndarray:
        """Score the references, each without its recording: [n] float64.

        A reference that is the only recording of its domain is scored by the other domain.

        Raises:
            ValueError: as in `scores`, or there is one recording only.
        """
        return self.leave_one_out_distances().amin(dim=1).double().numpy()

    def leave_one_out_distances(self) -> torch.Tensor:
        """Return the normalized distances of the references, each without its recording: [n, domains].

        Raises:
            ValueError: as in `leave_one_out`.
        """
        if bool(self._reference_distances.isinf().all(dim=1).any()):
            raise ValueError(
                "the machine has one reference recording, which cannot be left out (those of one session count as "
                "one): add recordings of another session (scoring works with one; a threshold needs two)"
            )
        return self.normalized(self._reference_distances)

    @property
    def lower_bound(self) -> float:
        """No score falls below it; errors as in `scores`."""
        bounds = torch.tensor([[backend.lower_bound for backend in self.backends.values()]])
        return float(self.normalized(bounds).amin())

    def check_references(self) -> None:
        """Warn now of what scoring would warn because of the references, before any clip is embedded."""
        if self._normalization == "references":
            self.normalized(torch.zeros(1, len(self.domains)))

    def normalized(self, distances: torch.Tensor) -> torch.Tensor:
        """Make `distances` comparable between domains, [n, domains] both; errors as in `scores`."""
        statistics = self.statistics
        if self._normalization == "test" and len(self.domains) > 1:
            statistics = [distance_statistics(distance) for distance in distances.T]
        if statistics is None:
            return distances
        columns = zip(distances.T, statistics, self.domains, strict=True)
        return torch.stack([standardize(*column) for column in columns], dim=1)

    @property
    def statistics(self) -> list[DistanceStatistics] | None:
        """By what distances to each domain are standardized, as long as that does not depend on the clips of a call.

        None: they are not, because there is one domain, no normalization or too few references (with a warning).
        """
        reads_references = self._normalization == "references" and len(self.domains) > 1
        return self._reference_statistics if reads_references else None

    @cached_property
    def _reference_distances(self) -> torch.Tensor:
        """Distances of the references, each without its recording, [n, domains]."""
        distances = torch.stack([backend.reference_distances() for backend in self.backends.values()], dim=1)
        index, is_target = self._references.recording_index, self._references.is_target_domain
        for unit in np.intersect1d(index[is_target].numpy(), index[~is_target].numpy()).tolist():
            rows = index == unit  # backends leave a unit of both domains out in its own domain alone
            distances[rows] = self._distances_without(rows)
        return distances

    def _distances_without(self, rows: torch.Tensor) -> torch.Tensor:
        """Distances of some references to models without them, [rows, domains]; infinite where nothing is left."""
        references, kept = self._references, ~rows
        if not bool(kept.any()):
            return torch.full((int(rows.sum()), len(self.domains)), torch.inf)
        vectors, index = references.vectors, references.recording_index
        device_rows = rows.to(vectors.device)
        others = References(vectors[~device_rows], index[kept], references.is_target_domain[kept], self._layout)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of references that are few only while some are left out
            backends = build_backends(self._settings, others)
        alone = torch.full((int(rows.sum()),), torch.inf)
        columns = [backends[d].distance(vectors[device_rows]) if d in backends else alone for d in self.domains]
        return torch.stack(columns, dim=1)

    @cached_property
    def _reference_statistics(self) -> list[DistanceStatistics] | None:
        """Statistics of the references' distances to their domain; None: a domain has none."""
        backends = list(zip(self._reference_distances.T, self.backends.values(), strict=True))
        statistics = [distance_statistics(distance[backend.rows]) for distance, backend in backends]
        missing = [
            f"the {backend.domain} domain has {len(backend.recording_index.unique())}"
            for (_, backend), (mean, std) in zip(backends, statistics, strict=True)
            if not 1e-6 * abs(mean) < std < math.inf  # they vary, and not by rounding alone
        ]
        if not missing:
            return statistics
        warn(
            f"too few different recordings for normalization='references' ({', '.join(missing)}): scores are "
            "distances without normalization, add references or use normalization='none'"
        )
        return None
