"""What a person says of a recording: "this was normal" makes it a reference, with a log and a way back."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from modeling_retainmix.detection.deciding_detector import DecidingDetector
from modeling_retainmix.detection.inputs import clip_sources
from modeling_retainmix.detection.reference_memory import without_recording

_CONFIRMED, _UNDONE = "confirmed normal", "undone"


class TaughtDetector(DecidingDetector):
    """Learn from what a person says of recordings; `AnomalyDetector` also explains."""

    @property
    def feedback_log(self) -> list[dict[str, Any]]:
        """What was confirmed and undone, oldest first: `action`, `names`, `time` (ISO 8601, UTC) and `note`."""
        return [] if self._memory is None else [dict(entry) for entry in self._memory.notes.log]

    def confirm_normal(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        domains: Any = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        groups: Any = None,
        note: str = "",
    ) -> Self:
        """Add recordings that a person judged as normal to the references, and log it; both are saved.

        Args:
            audio, sampling_rate, domains, channel, far, far_channel, groups: as in `fit`. Where the references are of
                sessions and `groups` is None, all that is confirmed on one day is one session more.
            note: why, or who said so, for the log.

        Raises:
            FileNotFoundError, ValueError: as `fit`; no references yet, or a recording has the name of a reference, so
                that `undo_confirm` could not tell them apart.
        """
        known = {Path(name).name for name in self._fitted().names}  # as a saved detector has them
        names = [
            source.name
            for source in clip_sources(self.settings.microphones, audio, sampling_rate, channel, far, far_channel)
        ]
        files = [Path(name).name for name in names]
        for name, file in zip(names, files, strict=True):
            if file in known or files.count(file) > 1:
                raise ValueError(f"{name} is the name of a reference already: pass a file of another name")
        if groups is None and self._fitted().notes.has_groups:  # else each would count as a session
            groups = [f"confirmed on {datetime.now().date()}"] * len(names)
        self.add_references(audio, sampling_rate, domains, channel, far, far_channel, groups)
        self._log(_CONFIRMED, names, note)
        return self

    def undo_confirm(self, name: str, note: str = "") -> Self:
        """Take a recording that was confirmed as normal from the references again, and log it.

        Args:
            name: of the recording, as in `feedback_log`.
            note: why, for the log.

        Raises:
            ValueError: no recording of this name was confirmed, or it was undone.
        """
        memory = self._fitted()
        confirmed: set[str] = set()
        for entry in memory.notes.log:
            confirmed = (
                confirmed | {*entry["names"]} if entry["action"] == _CONFIRMED else confirmed - {*entry["names"]}
            )
        if name not in confirmed:
            known = f"use one of {', '.join(sorted(confirmed))}" if confirmed else "no recording is confirmed"
            raise ValueError(f"{name} is not confirmed as normal, so there is nothing to undo: {known}")
        index = memory.names.index(name)
        groups = [group for place, group in enumerate(memory.notes.groups) if place != index]
        names = [one for place, one in enumerate(memory.names) if place != index]
        self._remember(names, without_recording(memory.tensors, index), replace(memory.notes, groups=groups))
        self._log(_UNDONE, [name], note)
        return self

    def _log(self, action: str, names: list[str], note: str) -> None:
        memory = self._fitted()
        time = datetime.now(UTC).isoformat(timespec="seconds")
        entry = {"action": action, "names": names, "time": time, "note": note}
        memory.notes = replace(memory.notes, log=[*memory.notes.log, entry])
