"""Recordings of a table, decoded once into int16 and kept in an Arrow file; a broken one is an error."""

import os
from pathlib import Path

from datasets import Dataset

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.audio import SAMPLING_RATE, AudioSource
from modeling_retainmix.data.clips import Int16Clip, to_int16
from modeling_retainmix.data.int16_table import fingerprint, sound_sources, write_int16

SHOWN_CLIPS = 20  # as many as an error lists


def decode_table(
    table: Dataset,
    cache_dir: str | os.PathLike[str],
    clip_seconds: float | None = None,
    sampling_rate: int = SAMPLING_RATE,
    channel: int | str | None = None,
) -> Dataset:
    """Decode the files of a table, or opens what was decoded before.

    The cache knows files by path, size and time of change. An interrupted run leaves none that is taken for whole.
    Of longer clips only the part that is kept is read.

    Args:
        table: with a string column `path` or an undecoded Audio column `audio`, and string columns beside it.
        cache_dir: folder of the caches.
        clip_seconds: longer clips are cut to their first so many seconds; None: they stay whole.
        sampling_rate: of the result, in Hz.
        channel: what to take of files with several channels: an index from 0, or "mean".

    Returns:
        The table with its sound in the columns `audio` (int16 lists, memory-mapped) and `scale` (see `data.clips`).

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: files cannot be decoded, are silent, empty or of several channels; the first twenty are listed.
    """
    target = Path(cache_dir) / f"decoded-{fingerprint(table, clip_seconds, sampling_rate, channel)}.arrow"
    if not target.is_file():
        sources = sound_sources(table, channel, sampling_rate, clip_seconds)
        with whole_file(target) as temporary:
            broken = write_int16(table, sources, temporary, _read)
            if broken:
                count = f"{len(broken)} clips cannot be used: " if len(broken) > 1 else ""
                more = f"; and {len(broken) - SHOWN_CLIPS} more" if len(broken) > SHOWN_CLIPS else ""
                raise ValueError(count + "; ".join(list(broken.values())[:SHOWN_CLIPS]) + more)
    return Dataset.from_file(str(target))


def _read(source: AudioSource) -> Int16Clip | str:
    """The clip, or what is wrong with it."""
    try:
        return to_int16(source.load())
    except (OSError, ValueError) as error:
        return str(error)
