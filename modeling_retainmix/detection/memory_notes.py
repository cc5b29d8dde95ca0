"""What a detector knows of its references beside their sound: sessions, held-out recordings and a log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import torch

from modeling_retainmix.detection.calibration import HeldOut
from modeling_retainmix.detection.duplicates import NUM_VALUES

PREFIX = "held_out."  # of tensors in the file of the references


@dataclass(frozen=True)
class MemoryNotes:
    """What a detector knows of its references beside their sound.

    Attributes:
        groups: the session of each reference; None: it is one of its own.
        held_out: recordings that thresholds come from; None: the references alone.
        log: what was added and removed as judged by a person, oldest first: {"action", "names", "time", "note"}.
    """

    groups: list[str | None]
    held_out: HeldOut | None = None
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def has_groups(self) -> bool:
        """Whether any recording, reference or held out, has a group."""
        held_out = [] if self.held_out is None else self.held_out.groups
        return any(group is not None for group in [*self.groups, *held_out])

    def with_references(self, groups: Sequence[str | None]) -> Self:
        """Return the notes once further references are added."""
        return replace(self, groups=[*self.groups, *groups])

    def shared(self) -> Self:
        """Return the notes for others, who need not know our paths."""
        log = [entry | {"names": _file_names(entry["names"])} for entry in self.log]
        held_out = self.held_out and replace(self.held_out, names=_file_names(self.held_out.names))
        return replace(self, held_out=held_out, log=log)

    def to_json(self) -> dict[str, Any]:
        """What the JSON file of a detector holds of it."""
        held_out = self.held_out
        return {
            "groups": self.groups if any(group is not None for group in self.groups) else None,
            "held_out": None if held_out is None else {"names": held_out.names, "groups": held_out.groups},
            "log": self.log,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the file of the references holds of it."""
        held_out = self.held_out
        if held_out is None:
            return {}
        return {
            PREFIX + "vectors": held_out.vectors,
            PREFIX + "recording_index": held_out.recording_index,
            PREFIX + "fingerprints": held_out.fingerprints,
        }

    @classmethod
    def read(cls, content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], num_references: int) -> Self:
        """Read what `to_json` and `tensors` give; detectors that were saved before there were notes have none.

        Raises:
            ValueError: the parts do not belong together; the message is the end of a sentence about the detector.
        """
        groups = content.get("groups") or [None] * num_references
        if len(groups) != num_references or not all(group is None or isinstance(group, str) for group in groups):
            raise ValueError(f"has groups that are not one name for each of its {num_references} references")
        log = content.get("log") or []
        if not isinstance(log, list) or not all(isinstance(entry, dict) and "names" in entry for entry in log):
            raise ValueError("has a log that is not a list of entries with names")
        named = content.get("held_out")
        if named is None:
            return cls(groups, None, log)
        vectors, index, fingerprints = (
            tensors.get(PREFIX + name) for name in ("vectors", "recording_index", "fingerprints")
        )
        names, held_groups = named["names"], named["groups"]
        width = tensors["vectors"].shape[1]
        if (
            vectors is None
            or index is None
            or fingerprints is None
            or fingerprints.shape != (len(names), NUM_VALUES)
            or vectors.ndim != 2
            or vectors.shape != (len(index), width)
            or not bool(vectors.isfinite().all())
            or index.unique().tolist() != list(range(len(names)))
            or len(held_groups) != len(names)
        ):
            raise ValueError(f"holds held-out recordings that are not the {len(names)} that it names")
        return cls(groups, HeldOut(names, held_groups, vectors.float(), index, fingerprints), log)


def _file_names(names: Sequence[str]) -> list[str]:
    return [Path(name).name for name in names]
