"""One sound file, decoded: in blocks, in bounded memory, and whole or with an error that names it."""

import logging
import math
import os
from typing import Any, BinaryIO

import numpy as np
import soundfile as sf

from modeling_retainmix.resampling import check_rate
from modeling_retainmix.sound_header import Length, check_length

logger = logging.getLogger(__name__)

MAX_CLIP_BYTES = 4 * 2**30
"""Memory that reading one file may take, in bytes: its samples of one channel as float32, once more while the blocks
are joined or resampled. That is 9 hours at 16 kHz, 80 minutes at 96 kHz. Nothing that a header declares is allocated
before it is read; a file that needs more is refused by name."""

_BLOCK = 2**20  # samples over all channels that are read at a time
_BAD_FILE = 7  # libsndfile's error
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's length of a FLAC stream that does not say it


class ClipError(ValueError):
    """A clip that cannot be used; the message names it."""


class _Stream(sf.SoundFile):
    """Read from front to back: soundfile seeks after every block of a seekable file, which is not exact in MP3."""

    def seekable(self) -> bool:
        return False


def decode(
    file: BinaryIO, name: str, channel: int | str | None, target_rate: int, max_seconds: float | None = None
) -> tuple[np.ndarray, int]:
    """Read one channel, or the mean of all, of an open sound file.

    Args:
        file: at its beginning; a file of the system, without a buffer, is read without Python, others by their
            methods.
        name: for messages.
        channel: index from 0, "mean", or None for files of one channel.
        target_rate: to which the result will be resampled, in Hz: it takes memory too.
        max_seconds: read no more than this from the beginning; None: all.

    Returns:
        float32 [samples] and the sampling rate in Hz.

    Raises:
        ValueError: it is not sound, declares more or less than it holds, decodes in part, has no such channel or an
            implausible sampling rate, or needs more memory than `MAX_CLIP_BYTES`; the message begins with `name`.
    """
    length = check_length(file, name)
    try:
        sound = _Stream(_descriptor(file), closefd=False)
    except sf.LibsndfileError as error:
        raise ClipError(f"{name} cannot be decoded ({_cause(error)}): convert or remove it") from error
    with sound:
        check_rate(sound.samplerate, name)
        _check_channel(sound.channels, name, channel)
        declared = sound.frames if sound.frames != _UNKNOWN_FRAMES else None
        longest = int(MAX_CLIP_BYTES / 4 / (1 + max(1.0, target_rate / sound.samplerate)))
        wanted = declared if max_seconds is None else math.ceil(max_seconds * sound.samplerate)
        if declared is not None and wanted is not None:
            wanted = min(wanted, declared)
        if wanted is not None and wanted > longest:
            raise _too_long(name, wanted, sound.samplerate)
        if "truncated file" in sound.extra_info:  # VOC
            raise ClipError(f"{name} is cut: it holds less sound than its header declares. Copy it again")
        waveform = _read_blocks(sound, name, channel, wanted, longest)
        if length is Length.UNKNOWN and len(waveform) == 0:
            raise ClipError(
                f"{name} declares no sound, but more follows: its recorder stopped before it had written the "
                "length. Rewrite the header (sox --ignore-length)"
            )
        if length is Length.UNKNOWN or declared is None:
            logger.warning(
                "%s does not say how long it is: the %.1f s that are there are read",
                name, len(waveform) / sound.samplerate,
            )  # fmt: skip
        elif len(waveform) < (wanted or 0):
            raise ClipError(
                f"{name} is damaged: {len(waveform)} of {declared} samples can be decoded. Copy or convert it again"
            )
        return waveform, sound.samplerate


def _read_blocks(
    sound: sf.SoundFile, name: str, channel: int | str | None, wanted: int | None, longest: int
) -> np.ndarray:
    blocks: list[np.ndarray] = []
    count = 0
    while wanted is None or count < wanted:
        frames = max(_BLOCK // sound.channels, 1)
        frames = frames if wanted is None else min(frames, wanted - count)
        try:
            block = sound.read(out=np.empty((frames, sound.channels), dtype=np.float32))
        except sf.LibsndfileError as error:
            raise ClipError(
                f"{name} cannot be decoded ({_cause(error)}) after {count} samples: convert or remove it"
            ) from error
        if len(block) == 0:
            break
        count += len(block)
        if count > longest:
            raise _too_long(name, count, sound.samplerate)
        if sound.channels == 1:
            blocks.append(block[:, 0])
        elif channel == "mean":
            blocks.append(block.mean(axis=1))
        else:
            blocks.append(np.ascontiguousarray(block[:, channel]))
    if len(blocks) == 1:
        return blocks[0]
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.float32)


def _check_channel(channels: int, name: str, channel: Any) -> None:
    if channels > 1 and channel != "mean" and (channel is None or channel >= channels):
        missing = "" if channel is None else f" and no channel {channel}"
        indices = "0 or 1" if channels == 2 else f"0 to {channels - 1}"
        raise ClipError(
            f"{name} has {channels} channels{missing}: choose one with channel={indices}, or channel='mean' "
            "(--channel on the command line)"
        )


def _cause(error: sf.LibsndfileError) -> str:
    """libsndfile's reason, but where it takes an open file that ends early for one that does not exist."""
    return "it ends too early" if error.code == _BAD_FILE else str(error.error_string)


def _too_long(name: str, samples: int, sampling_rate: int) -> ClipError:
    return ClipError(
        f"{name} is too long: {samples} samples ({samples / sampling_rate / 3600:.1f} h) or more need more than the "
        f"{MAX_CLIP_BYTES / 2**30:g} GiB that one file may take: cut it into shorter files"
    )


def _descriptor(file: BinaryIO) -> Any:
    """What soundfile opens: the number of a file of the system, which it reads without Python's lock; else the file.

    A name would have to be UTF-8 and shorter than 1,024 bytes.
    """
    if os.name == "nt":  # libsndfile's C library knows no numbers of Python's
        return file
    try:
        return file.fileno()
    except OSError:  # bytes in memory
        return file
