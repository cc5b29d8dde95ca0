"""The normal clips that a detector remembers, and what follows from them alone: scores, copies, thresholds."""

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch

from modeling_retainmix.detection.calibration import HELD_OUT, NormalScores, check_held_out, deciding_domains
from modeling_retainmix.detection.clip_embedding import ClipEmbeddings
from modeling_retainmix.detection.conformal import CrossScores
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.duplicates import describe_copies, group_copies
from modeling_retainmix.detection.groups import unit_index
from modeling_retainmix.detection.memory_notes import MemoryNotes
from modeling_retainmix.detection.odd_references import LEAST_UNITS, describe_odd_references
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import ThresholdMethod, needed_units, score_threshold
from modeling_retainmix.detection.trait_differences import describe_differences
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.user_warnings import warn


class ReferenceMemory:
    """References of one machine, embedded.

    Args:
        settings: of the detector.
        names: of the recordings.
        tensors: as `read_references` returns them.
        device: where the backend computes.
        layout: blocks and bands of a vector.
        notes: groups of the recordings, held-out recordings and the log; None: there are none.

    Attributes:
        names, tensors, notes: as given.
        width: of a vector.
        units: [n] int64 the unit of each window, of which one has one weight: a group, or a recording with its copies.
        scores: of clips, by their distance to the references; copies of a recording, and recordings of one group,
            count as one recording.

    Raises:
        ValueError: no references, too few for the backend, the same recording in both domains, or a held-out
            recording that is a reference or of a group of one.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        names: Sequence[str],
        tensors: Mapping[str, torch.Tensor],
        device: torch.device,
        layout: VectorLayout,
        notes: MemoryNotes | None = None,
    ) -> None:
        self._settings, self._layout = settings, layout
        self.notes = MemoryNotes([None] * len(names)) if notes is None else notes
        self.names, self.tensors = list(names), dict(tensors)
        self.width = tensors["vectors"].shape[1]
        self._recording_index = tensors["recording_index"].numpy()
        self._is_target_domain = tensors["is_target_domain"].numpy()
        self._first_copy = group_copies(tensors["fingerprints"].numpy())
        self._check_domains()
        if self.notes.held_out is not None:
            check_held_out(self.notes.held_out, self.names, self.notes.groups, tensors["fingerprints"].numpy())
        self.units = unit_index(self._first_copy, self.notes.groups)[self._recording_index]
        self._vectors = tensors["vectors"].to("cpu" if device.type == "mps" else device)  # which has no float64
        self.scores = DomainScores(
            settings, self._vectors, torch.from_numpy(self.units), tensors["is_target_domain"], layout
        )

    def threshold(
        self, false_alarm_rate: float, method: ThresholdMethod, num_windows: int = 1, domain: str | None = None
    ) -> float:
        """Return the score above which a clip is called anomalous; see `AnomalyDetector.threshold`."""
        if num_windows < 1:
            raise ValueError(f"num_windows={num_windows}: a clip has at least 1 window")
        normal = self.normal_scores(false_alarm_rate, domain)
        length = num_windows, self._settings.reduce, false_alarm_rate
        stretches = normal.stretches(*length)
        common = (false_alarm_rate, method, self.scores.lower_bound, stretches.recording, stretches.num_stretches)
        threshold = score_threshold(stretches.values, *common, unit=self.unit_name)
        held_out = normal.held_out_beside_references()
        if self._settings.backend == "whitened" and HELD_OUT not in normal.part:
            self._warn_of_lost_covariance()
        if held_out is None or method != "quantile":
            return threshold
        return max(threshold, float(held_out.stretches(*length).values.max()))

    def _warn_of_lost_covariance(self) -> None:
        """Warn where one of the references cannot be scored by a covariance of the others."""
        names, counts = np.unique(self.units, return_counts=True)
        for unit in names[len(self.units) - counts <= len(self.scores.domains)]:
            others = self.units != unit
            if others.sum() <= len(np.unique(self._is_target_domain[others])):  # one window in each domain
                warn(
                    f"{len(names)} {self.unit_name} are too few for a threshold by backend='whitened': without one of "
                    "them the others have no covariance, so normal clips exceed it more often than the rate says: add "
                    "references"
                )
                return

    @property
    def unit_name(self) -> str:
        """What has one weight in a threshold, in a word for messages."""
        return "groups" if self.notes.has_groups else "recordings"

    def normal_scores(self, rate: float, domain: str | None = None) -> NormalScores:
        """Return the scores that thresholds come from.

        They are those of the held-out recordings, joined by the references' where the former are too few for a rate.
        References of the same sessions score lower, so they may only raise what follows from held-out recordings alone
        (`threshold`, `normal_p_values`).

        Args:
            rate: of false alarms.
            domain: "source" or "target", where only the recordings count for which it decides; None: all count.

        Raises:
            ValueError: as `AnomalyDetector.threshold`, or no recording for which the domain decides.
        """
        if self._settings.normalization == "test":
            raise ValueError("normalization='test' makes scores depend on the other clips of a call: use 'references'")
        held_out = None if self.notes.held_out is None else _in_domain(self._held_out_scores, self._domain(domain))
        if held_out is not None and held_out.num_units >= needed_units(rate):
            return held_out
        references = _in_domain(self._reference_scores, self._domain(domain))
        parts = [part for part in (references, held_out) if part is not None and len(part.values)]
        if not parts:
            raise ValueError(
                f"no normal recording is nearest to the {domain} domain, so it has no threshold of its own: add "
                "references, or use one threshold for both"
            )
        return parts[0] if len(parts) == 1 else parts[0].joined(parts[1])

    def num_units(self, rate: float) -> int:
        """How many recordings, or groups of them, thresholds of a rate come from; errors as in `normal_scores`."""
        return self.normal_scores(rate).num_units

    @cached_property
    def cross_scores(self) -> CrossScores:
        """Scores without one unit of the references each; see `CrossScores`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of references that are few only while some are left out
            return CrossScores(
                self._settings, self._vectors, self.units, self.tensors["is_target_domain"], self._layout
            )

    @cached_property
    def cross_normal_scores(self) -> NormalScores:
        """Windows of the references with the values of `cross_scores`."""
        part = self._is_target_domain.astype(np.int64)
        columns = (self.cross_scores.values, self._recording_index, self.units, part, np.zeros_like(part))
        return NormalScores(*columns).of(self._is_first_copy)

    def describe_copies(self, since: int = 0) -> str | None:
        """Name recordings that are given more than once, those with a copy from index `since` on; None: all differ."""
        return describe_copies(self._first_copy, self.names, since)

    def describe_differences(self, traits: np.ndarray, names: Sequence[str]) -> str | None:
        """Name in what other clips differ from all references that is not the machine's; None: in nothing."""
        known = self.tensors["traits"].numpy()
        return describe_differences(traits, known, names, self._settings.windows, self._settings.max_frequency)

    def describe_odd_ones(self, since: int = 0) -> str | None:
        """Name references from index `since` on that are far from all others, see `describe_odd_references`."""
        if len(np.unique(self.units)) < LEAST_UNITS:  # before any is left out
            return None
        of_all = (self.names, self.tensors["traits"].numpy(), self._settings.windows, self._settings.max_frequency)
        return describe_odd_references(self._reference_scores, *of_all, since)

    @property
    def _is_first_copy(self) -> np.ndarray:
        """Which windows are of a recording that is no copy of an earlier one, [n] bool."""
        return self._first_copy[self._recording_index] == self._recording_index

    @cached_property
    def _reference_scores(self) -> NormalScores:
        distances = self.scores.leave_one_out_distances().double().numpy()
        part = self._is_target_domain.astype(np.int64)
        domain = deciding_domains(distances, self._recording_index, self._settings.reduce)
        columns = (distances.min(axis=1), self._recording_index, self.units, part, domain)
        return NormalScores(*columns).of(self._is_first_copy)

    @cached_property
    def _held_out_scores(self) -> NormalScores:
        held_out = self.notes.held_out
        assert held_out is not None
        distances = self.scores.normalized(self.scores.distances(held_out.vectors)).double().numpy()
        recording = held_out.recording_index.numpy()
        unit = unit_index(held_out.first_copy, held_out.groups)[recording]
        domain = deciding_domains(distances, recording, self._settings.reduce)
        part = np.full(len(recording), HELD_OUT)  # they need not be as long as the references
        scores = NormalScores(distances.min(axis=1), recording, unit, part, domain)
        return scores.of(held_out.first_copy[recording] == recording)

    def _domain(self, name: str | None) -> int | None:
        """Return the index of a domain that decides; None: all count."""
        if name is None:
            return None
        if name not in self.scores.domains:
            raise ValueError(f"domain={name!r} is not one of this detector: use {' or '.join(self.scores.domains)}")
        return self.scores.domains.index(name)

    def _check_domains(self) -> None:
        """Check that no recording is a reference of both domains: one copy would stay where the other is left out."""
        is_target = np.zeros(len(self.names), dtype=bool)
        is_target[self._recording_index] = self._is_target_domain
        for index in np.flatnonzero(is_target != is_target[self._first_copy]):
            first = self.names[self._first_copy[index]]
            raise ValueError(
                f"{first} and {self.names[index]} are the same recording, once as source and once as target: "
                "leave one of them out"
            )


def _in_domain(scores: NormalScores, domain: int | None) -> NormalScores:
    return scores if domain is None else scores.of(scores.domain == domain)


def reference_tensors(
    embeddings: ClipEmbeddings, is_target_domain: torch.Tensor, memory: ReferenceMemory | None
) -> dict[str, torch.Tensor]:
    """Return the tensors of new references, behind those that a memory holds.

    Args:
        embeddings: of the new references.
        is_target_domain: [clips] bool, the domain of each.
        memory: the earlier ones; None: there are no earlier ones.
    """
    clip_index = torch.from_numpy(embeddings.clip_index)
    tensors = {
        "vectors": embeddings.vectors,
        "recording_index": clip_index + (0 if memory is None else len(memory.names)),
        "is_target_domain": is_target_domain[clip_index],
        "level_moments": embeddings.level_moments,
        "cell_levels": embeddings.cell_levels,
        "traits": torch.from_numpy(embeddings.traits),
        "fingerprints": torch.from_numpy(embeddings.fingerprints),
    }
    if memory is None:
        return tensors
    return {key: torch.cat([memory.tensors[key], tensor]) for key, tensor in tensors.items()}


def without_recording(tensors: Mapping[str, torch.Tensor], index: int) -> dict[str, torch.Tensor]:
    """Return the tensors of references without one recording; those behind it are numbered anew."""
    recording_index = tensors["recording_index"]
    kept = recording_index != index
    others = torch.arange(len(tensors["traits"])) != index
    per_recording = ("traits", "fingerprints")
    found = {key: tensor[others if key in per_recording else kept] for key, tensor in tensors.items()}
    return found | {"recording_index": recording_index[kept] - (recording_index[kept] > index).long()}
