"""Scores of normal recordings that a detector has not seen: of its references, each left out, or of held-out ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from modeling_retainmix.detection.duplicates import group_copies
from modeling_retainmix.detection.threshold import CalibrationScores, calibration_scores, needed_units
from modeling_retainmix.detection.windows import Reduction

HELD_OUT = 2  # a part of normal scores, beside 0 and 1, the references' domains


@dataclass(frozen=True)
class HeldOut:
    """Healthy recordings that are no references, and that thresholds come from.

    Attributes:
        names: of the recordings.
        groups: the session of each; None: it is one of its own.
        vectors: [windows, D] float32 embeddings.
        recording_index: [windows] int64, the recording of each.
        fingerprints: [recordings, values] float32 of `duplicates.fingerprint`.
    """

    names: list[str]
    groups: list[str | None]
    vectors: torch.Tensor
    recording_index: torch.Tensor
    fingerprints: torch.Tensor

    @property
    def first_copy(self) -> np.ndarray:
        """The first copy of each recording, [recordings] int64, see `group_copies`."""
        return group_copies(self.fingerprints.numpy())


@dataclass(frozen=True)
class NormalScores:
    """Scores of the windows of normal recordings, each from references without its group.

    Attributes:
        values: [n] scores.
        recording: [n] the recording of each window, ascending.
        unit: [n] what is left out together: a group of recordings, or one recording with its copies.
        part: [n] by which the usual length of a recording is told: the domain of a reference, or `HELD_OUT`.
        domain: [n] index of the domain that decides for the recording, see `deciding_domains`.
    """

    values: np.ndarray
    recording: np.ndarray
    unit: np.ndarray
    part: np.ndarray
    domain: np.ndarray

    @property
    def num_units(self) -> int:
        """Number of groups, or of recordings outside of any."""
        return len(np.unique(self.unit))

    def of(self, rows: np.ndarray) -> "NormalScores":
        """Return the windows `rows` [n] bool."""
        columns = (self.values, self.recording, self.unit, self.part, self.domain)
        return NormalScores(*(column[rows] for column in columns))

    def held_out_beside_references(self) -> "NormalScores | None":
        """Return the held-out recordings among these; None: there are none, or nothing else."""
        rows = self.part == HELD_OUT
        return self.of(rows) if rows.any() and not rows.all() else None

    def joined(self, other: "NormalScores") -> "NormalScores":
        """Return these and the windows of further recordings, none of whose units is the same."""
        numbered = (other.values, other.recording + 1 + self.recording.max(), other.unit + 1 + self.unit.max())
        columns = zip(
            (self.values, self.recording, self.unit, self.part, self.domain),
            (*numbered, other.part, other.domain),
            strict=True,
        )
        return NormalScores(*(np.concatenate(pair) for pair in columns))

    def stretches(self, num_windows: int, reduce: Reduction, rate: float) -> CalibrationScores:
        """Score stretches as long as a clip, see `calibration_scores`; their `recording` is the unit of each.

        Args:
            num_windows: of the clip.
            reduce: how windows make the score of a clip.
            rate: of false alarms; stretches are so short that there are enough units for it.
        """
        least = needed_units(rate)
        found = calibration_scores(self.values, self.recording, self.part, num_windows, reduce, self.unit, least)
        recordings, first = np.unique(self.recording, return_index=True)
        units = self.unit[first][np.searchsorted(recordings, found.recording)]
        return CalibrationScores(found.values, units, found.num_stretches)


def deciding_domains(distances: np.ndarray, clip_index: np.ndarray, reduce: Reduction) -> np.ndarray:
    """Return the domain whose references a clip is nearest to where its score comes from.

    That is in the window with the largest score, or for the mean of windows, on average.

    Args:
        distances: [windows, domains], normalized; a score is the smallest one of a window.
        clip_index: [windows] the clip of each, ascending.
        reduce: how windows make the score of a clip.

    Returns:
        [windows] int64, the domain of each window's clip.
    """
    if not len(distances):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.diff(clip_index, prepend=-1))
    lengths = np.diff(np.append(starts, len(distances)))
    if reduce == "mean":
        deciding = np.add.reduceat(distances, starts, axis=0) / lengths[:, None]
    else:  # sorted by clip and then by score: the first of each clip, in the order of time, has its largest
        order = np.lexsort((-distances.min(axis=1), clip_index))
        deciding = distances[order[starts]]
    return np.repeat(deciding.argmin(axis=1), lengths)


def check_held_out(
    held_out: HeldOut,
    names: Sequence[str],
    groups: Sequence[str | None],
    fingerprints: np.ndarray,
) -> None:
    """Check that held-out recordings are no references, nor of the group of any.

    Args:
        held_out: the recordings.
        names, groups: of the references.
        fingerprints: [references, values] of `duplicates.fingerprint`.

    Raises:
        ValueError: one is; the message names it.
    """
    first_copy = group_copies(np.concatenate([fingerprints, held_out.fingerprints.numpy()]))[len(names) :]
    for name, group, first in zip(held_out.names, held_out.groups, first_copy, strict=True):
        if first < len(names):
            raise ValueError(
                f"{name} is the reference {names[first]}, which the detector has seen: calibrate with other recordings"
            )
        if group is not None and group in groups:
            raise ValueError(
                f"{name} is of session {group}, as {names[list(groups).index(group)]} among the references: calibrate "
                "with recordings of other sessions"
            )
