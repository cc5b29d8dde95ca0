"""Training recordings, decoded once into int16; what cannot be trained on is dropped and reported."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from datasets import Dataset

from modeling_retainmix.atomic import whole_folder
from modeling_retainmix.audio import SAMPLING_RATE, AudioSource, SilentClipError
from modeling_retainmix.data.clips import Int16Clip, to_int16
from modeling_retainmix.data.int16_table import fingerprint, sound_sources, write_int16

SHORTEST_SECONDS = 0.175  # 2800 samples at 16 kHz: one patch of the encoders
SHOWN_CLIPS = 5


@dataclass(frozen=True)
class PreparationReport:
    """What became of the recordings.

    Attributes:
        kept: number of clips in the table.
        dropped: name of each clip that is not, and why: `silent`, `too short`, `duplicate` or `undecodable`, followed
            by the particulars.
    """

    kept: int
    dropped: dict[str, str]

    def counts(self) -> dict[str, int]:
        """Dropped clips by reason."""
        return dict(Counter(why.split(":")[0] for why in self.dropped.values()))

    def __str__(self) -> str:
        total = self.kept + len(self.dropped)
        if not self.dropped:
            return f"{total} clips, none dropped"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.counts().items())
        shown = "; ".join(f"{name} ({why})" for name, why in list(self.dropped.items())[:SHOWN_CLIPS])
        more = f"; and {len(self.dropped) - SHOWN_CLIPS} more" if len(self.dropped) > SHOWN_CLIPS else ""
        return f"{total} clips, {len(self.dropped)} dropped ({reasons}): {shown}{more}"


def prepare_training_clips(
    table: Dataset,
    cache_dir: str | os.PathLike[str],
    channel: int | str | None = None,
    sampling_rate: int = SAMPLING_RATE,
) -> tuple[Dataset, PreparationReport]:
    """Decode, resamples and checks every recording, or opens what was prepared before.

    A killed preparation leaves nothing that is taken for one. Of two processes that prepare the same recordings, the
    first one's result stands.

    Args:
        table: with a string column `path` or an undecoded Audio column `audio`, and string columns beside it.
        cache_dir: folder of the prepared tables.
        channel: what to take of recordings with several channels: an index from 0, or "mean".
        sampling_rate: of the result, in Hz.

    Returns:
        The usable recordings, with the memory-mapped columns `audio` (int16 lists) and `scale` (see `data.clips`) and
        the string columns of the table; and the report on the others.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: no recording is usable.
    """
    folder = Path(cache_dir) / f"prepared-{fingerprint(table, channel, sampling_rate)}"
    if not folder.is_dir():
        with whole_folder(folder) as temporary:
            sources = sound_sources(table, channel, sampling_rate)
            _prepare(table, sources, temporary, round(SHORTEST_SECONDS * sampling_rate))
    report = PreparationReport(**json.loads((folder / "report.json").read_text(encoding="utf-8")))
    return Dataset.from_file(str(folder / "clips.arrow")), report


def _prepare(table: Dataset, sources: list[AudioSource], folder: Path, min_samples: int) -> None:
    first_of: dict[bytes, int] = {}  # content of a clip -> the first recording that has it

    def duplicate(row: int, clip: Int16Clip) -> str | None:
        content = hashlib.sha256(clip.samples.tobytes() + np.float32(clip.scale).tobytes())
        original = first_of.setdefault(content.digest(), row)
        return None if original == row else f"duplicate: of {sources[original].name}"

    read = partial(_read, min_samples=min_samples)
    refused = write_int16(table, sources, folder / "clips.arrow", read, duplicate, title="preparing")
    dropped = {sources[row].name: why for row, why in refused.items()}
    kept = len(table) - len(refused)
    report = PreparationReport(kept, dropped)
    if kept == 0:
        raise ValueError(f"nothing to train on: {report}")
    (folder / "report.json").write_text(json.dumps({"kept": kept, "dropped": dropped}, indent=2), encoding="utf-8")


def _read(source: AudioSource, min_samples: int) -> Int16Clip | str:
    """The clip, or why it is dropped."""
    try:
        waveform = source.load()
    except SilentClipError as error:
        return f"silent: {error}"
    except (OSError, ValueError) as error:
        return f"undecodable: {error}"
    if len(waveform) < min_samples:
        return f"too short: {len(waveform)} samples, at least {min_samples} are needed"
    return to_int16(waveform)
