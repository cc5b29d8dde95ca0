"""Recordings of a table, decoded once into int16 and kept in an Arrow file; a broken one is an error."""

import os
from functools import partial
from pathlib import Path

import numpy as np
from datasets import Dataset

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.audio import SAMPLING_RATE, AudioSource
from modeling_retainmix.data.int16_table import fingerprint, sound_sources, to_int16, write_int16

SHOWN_CLIPS = 20  # as many as an error lists


def decode_table(
    table: Dataset,
    cache_dir: str | os.PathLike[str],
    clip_seconds: float | None = None,
    sampling_rate: int = SAMPLING_RATE,
    channel: int | str | None = None,
) -> Dataset:
    """Decodes the files of a table, or opens what was decoded before.

    The cache knows files by path, size and time of change. An interrupted run leaves none behind.

    Args:
        table: with a string column `path` or an undecoded Audio column `audio`, and string columns beside it.
        cache_dir: folder of the caches.
        clip_seconds: longer clips are cut to their first so many seconds; None: they stay whole.
        sampling_rate: of the result, in Hz.
        channel: what to take of files with several channels: an index from 0, or "mean".

    Returns:
        The table with its sound in the column `audio`: int16 lists, memory-mapped.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: files cannot be decoded, are silent, empty or of several channels; the first twenty are listed.
    """
    target = Path(cache_dir) / f"decoded-{fingerprint(table, clip_seconds, sampling_rate, channel)}.arrow"
    if not target.is_file():
        num_samples = None if clip_seconds is None else round(clip_seconds * sampling_rate)
        read = partial(_read, num_samples=num_samples, sampling_rate=sampling_rate)
        with whole_file(target) as temporary:
            broken = write_int16(table, sound_sources(table, channel, sampling_rate), temporary, read)
            if broken:
                count = f"{len(broken)} clips cannot be used: " if len(broken) > 1 else ""
                more = f"; and {len(broken) - SHOWN_CLIPS} more" if len(broken) > SHOWN_CLIPS else ""
                raise ValueError(count + "; ".join(list(broken.values())[:SHOWN_CLIPS]) + more)
    return Dataset.from_file(str(target))


def _read(source: AudioSource, num_samples: int | None, sampling_rate: int) -> np.ndarray | str:
    """The clip, int16 [samples], or what is wrong with it."""
    try:
        clip = to_int16(source.load()[:num_samples])
    except ValueError as error:
        return str(error)
    if clip.min() == clip.max():
        return (
            f"{source.name} is silent in its first {len(clip)} samples (16 bit, {sampling_rate} Hz): remove or trim it"
        )
    return clip
