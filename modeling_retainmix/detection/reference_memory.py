"""The normal clips that a detector remembers, and what follows from them alone: scores, copies, thresholds."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from modeling_retainmix.detection.clip_embedding import ClipEmbeddings
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.duplicates import describe_copies, group_copies
from modeling_retainmix.detection.recording_traits import describe_differences
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import ThresholdMethod, calibration_scores, score_threshold
from modeling_retainmix.detection.vector_layout import VectorLayout


class ReferenceMemory:
    """References of one machine, embedded.

    Args:
        settings: of the detector.
        names: of the recordings.
        tensors: as `read_references` returns them.
        device: where the backend computes.
        layout: blocks and bands of a vector.

    Attributes:
        names, tensors: as given.
        width: of a vector.
        recordings: [n] int64 the recording of each window; copies count as the first of them.
        scores: of clips, by their distance to the references; copies of a recording count as one recording.

    Raises:
        ValueError: no references, too few for the backend, or the same recording in both domains.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        names: Sequence[str],
        tensors: Mapping[str, torch.Tensor],
        device: torch.device,
        layout: VectorLayout,
    ) -> None:
        self._settings = settings
        self.names, self.tensors = list(names), dict(tensors)
        self.width = tensors["vectors"].shape[1]
        self._recording_index = tensors["recording_index"].numpy()
        self._is_target_domain = tensors["is_target_domain"].numpy()
        self._first_copy = group_copies(tensors["fingerprints"].numpy())
        self._check_domains()
        self.recordings = self._first_copy[self._recording_index]
        self.scores = DomainScores(
            settings,
            tensors["vectors"].to("cpu" if device.type == "mps" else device),  # which has no float64
            torch.from_numpy(self.recordings),
            tensors["is_target_domain"],
            layout,
        )

    def threshold(self, false_alarm_rate: float, method: ThresholdMethod, num_windows: int) -> float:
        """Return the score above which a clip is called anomalous; see `AnomalyDetector.threshold`."""
        if num_windows < 1:
            raise ValueError(f"num_windows={num_windows}: a clip has at least 1 window")
        if self._settings.normalization == "test":
            raise ValueError("normalization='test' makes scores depend on the other clips of a call: use 'references'")
        rows = self.recordings == self._recording_index  # one of several copies
        calibration = calibration_scores(
            self.scores.leave_one_out()[rows],
            self._recording_index[rows],
            self._is_target_domain[rows],
            num_windows,
            self._settings.reduce,
        )
        return score_threshold(
            calibration.values,
            false_alarm_rate,
            method,
            self.scores.lower_bound,
            calibration.recording,
            calibration.num_stretches,
        )

    def describe_copies(self, since: int = 0) -> str | None:
        """Name recordings that are given more than once, those with a copy from index `since` on; None: all differ."""
        return describe_copies(self._first_copy, self.names, since)

    def describe_differences(self, traits: np.ndarray, names: Sequence[str]) -> str | None:
        """Name in what other clips differ from all references that is not the machine's; None: in nothing."""
        known = self.tensors["traits"].numpy()
        return describe_differences(traits, known, names, self._settings.windows, self._settings.max_frequency)

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
