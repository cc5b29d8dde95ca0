"""The one door through which sound comes in: files, folders, arrays and table columns as float32 waveforms."""

import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pyarrow.compute as pc
import soundfile as sf
import torch
from datasets import Audio, Column, List, Value

from modeling_retainmix.audio_files import find_audio_files, shown_name, unreadable
from modeling_retainmix.mixing import SilentClipError
from modeling_retainmix.resampling import MAX_RATE, MIN_RATE, resample
from modeling_retainmix.sound_file import ClipError, decode

SAMPLING_RATE = 16000
MAX_AMPLITUDE = 2.0**31  # full scale is 1; files that hold integers as floating point reach so far

_FILTER_SECONDS = 0.1  # more than half of the longest filter of `resample`
_MOST_CHANNELS = 16  # an array whose last axis is no longer than this holds channels there, not samples


class Origin(NamedTuple):
    """What a clip is made of.

    Attributes:
        sampling_rate: of the file or array, in Hz.
        channels: that the clip is the mean of; 1 where one of several is taken.
        coding: libsndfile's name of how the file is coded, such as "PCM_16"; None for arrays.
    """

    sampling_rate: int
    channels: int
    coding: str | None


@dataclass(frozen=True)
class AudioSource:
    """A clip that has not been read yet.

    Attributes:
        name: of its file, or position among the clips that were passed; error messages use it.
        load: reads it: float32 [samples] at the sampling rate that was asked for. Raises FileNotFoundError or
            ValueError, with the name, whatever is wrong with the clip.
        describe: gives the origin, without reading the clip; None: unknown.
        process: makes of what was loaded what an encoder hears, without changing it; errors as those of `load`. By
            default nothing is done.
    """

    name: str
    load: Callable[[], np.ndarray]
    describe: Callable[[], Origin | None] = lambda: None
    process: Callable[[np.ndarray], np.ndarray] = lambda waveform: waveform


def read_audio(
    path: str | os.PathLike[str],
    sampling_rate: int = SAMPLING_RATE,
    channel: int | str | None = None,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Read a sound file.

    Args:
        path: of any format that libsndfile reads (WAV, FLAC, Ogg, MP3, ...).
        sampling_rate: of the result, in Hz; a file of another rate is resampled.
        channel: what to take of several channels: an index from 0, or "mean"; a file of one channel is taken as it is.
        max_seconds: read no more than this from the beginning; None: the whole file.

    Returns:
        float32 [samples]; full scale is 1, which files of floating point may exceed.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it cannot be opened or decoded, is cut or damaged, is empty, silent or not finite, is too long for
            one file (`sound_file.MAX_CLIP_BYTES`), has a sampling rate that is not between 1 kHz and 1 MHz, or has
            several channels and `channel` does not say which one; or `channel` is neither an index nor "mean".
    """
    _check_channel(channel)
    name, path = shown_name(path), Path(path)
    with _named_errors(name):
        problem = unreadable(path)
        if problem is not None:
            is_missing = not path.exists() or path.is_dir()
            raise FileNotFoundError(f"{name} {problem}") if is_missing else ClipError(f"{name} {problem}")
        with path.open("rb", buffering=0) as file:  # libsndfile continues where Python stopped
            return _decode(file, name, sampling_rate, channel, max_seconds)


def audio_sources(
    audio: Any,
    sampling_rate: int | None = None,
    channel: int | str | None = None,
    target_rate: int = SAMPLING_RATE,
    max_seconds: float | None = None,
) -> list[AudioSource]:
    """List the clips of an audio argument without reading them.

    What looks like a recording in a folder and cannot be read is among them, and loading it raises an error with the
    cause.

    Args:
        audio: a path; a folder; a [samples] or [batch, samples] array or tensor, float in [-1, 1] or integer in its
            full range; a column of a `datasets` table (lists of samples, paths, or an Audio feature); or a list of
            paths or of [samples] arrays.
        sampling_rate: of arrays, in Hz; required for them. Files bring theirs.
        channel: what to take of files with several channels: an index, or "mean".
        target_rate: sampling rate of the loaded clips, in Hz.
        max_seconds: of files, read no more than this from the beginning; None: all.

    Raises:
        FileNotFoundError, ValueError: a missing or empty folder, an array without sampling rate or with channels, an
            unknown form, or a `channel` that is neither an index nor "mean".
    """
    _check_channel(channel)
    if isinstance(audio, (str, os.PathLike)):
        read = partial(read_audio, sampling_rate=target_rate, channel=channel, max_seconds=max_seconds)
        if not Path(audio).is_dir():
            describe = partial(_describe, [audio], 0, None, channel)
            return [AudioSource(shown_name(audio), partial(read, audio), describe)]
        found = find_audio_files(audio)
        return [
            AudioSource(
                shown_name(path),
                partial(_fail, f"{shown_name(path)} {found.problems[path]}")
                if path in found.problems
                else partial(read, path),
                partial(_describe, [path], 0, None, channel),
            )
            for path in sorted([*found.files, *found.problems])
        ]
    if isinstance(audio, (np.ndarray, torch.Tensor)):
        if audio.ndim not in (1, 2):
            raise ValueError(f"audio has shape {list(audio.shape)}: expected [samples] or [batch, samples]")
        if audio.ndim == 2 and (channel is not None or 0 < audio.shape[1] <= _MOST_CHANNELS < audio.shape[0]):
            raise ValueError(
                f"audio has shape {list(audio.shape)}, which is {audio.shape[0]} clips of {audio.shape[1]} samples: "
                "of a clip of several channels pass one of them, or their mean, as [samples]"
            )
        clips: Any = [audio] if audio.ndim == 1 else audio
    elif isinstance(audio, Column):
        clips = _without_decoder(audio)
    elif isinstance(audio, (list, tuple)):
        clips = audio
        if clips and isinstance(clips[0], (int, float)):
            raise ValueError("audio is a list of numbers: pass np.asarray(audio) with sampling_rate=")
    else:
        raise ValueError(
            f"audio is of type {type(audio).__name__}: pass a path, a folder, an array, a table column, or a list"
        )
    if len(clips) == 0:
        raise ValueError("there is no clip: pass at least one")
    load = partial(
        _load_item,
        clips,
        sampling_rate=sampling_rate,
        channel=channel,
        target_rate=target_rate,
        max_seconds=max_seconds,
    )
    return [
        AudioSource(name, partial(load, index, name), partial(_describe, clips, index, sampling_rate, channel))
        for index, name in enumerate(_item_names(clips))
    ]


def _without_decoder(column: Column) -> Column:
    """The column in a form that needs no decoder beside soundfile and builds no Python number per sample."""
    table, name = column.source, column.column_name
    if isinstance(column.features, Audio):
        return table.cast_column(name, Audio(decode=False))[name]
    if isinstance(column.features, List):
        return table.with_format("numpy", dtype=np.dtype(column.features.feature.dtype))[name]
    return column


def _item_names(clips: Any) -> list[str]:
    """List the paths of clips that have one, also inside a table; the position of others."""
    if isinstance(clips, Column):
        kind = clips.features
        if isinstance(kind, Audio) or (isinstance(kind, dict) and "path" in kind):
            paths = _paths_alone(clips)
        else:
            paths = clips if kind in (Value("string"), Value("large_string")) else [None] * len(clips)
    else:
        paths = [item.get("path") if isinstance(item, dict) else item for item in clips]
    return [
        shown_name(path) if isinstance(path, (str, os.PathLike)) and str(path) else f"clip {index}"
        for index, path in enumerate(paths)
    ]


def _paths_alone(clips: Column) -> list[str | None]:
    """Read the paths of a column whose cells hold a path and the bytes of a file, and leave the bytes alone."""
    table = clips.source
    paths = pc.struct_field(table.data.column(clips.column_name), "path").to_pylist()
    # `flatten` would do it, but for tables of several parts it keeps the parts as they were (datasets 5.2).
    rows = range(len(paths)) if table._indices is None else table._indices.column(0).to_pylist()
    return [paths[row] for row in rows]


def _fail(message: str) -> np.ndarray:
    raise ClipError(message)


def _describe(clips: Any, index: int, sampling_rate: int | None, channel: int | str | None) -> Origin | None:
    """Return the origin of a clip, from its header if it is a file."""
    item = clips[index]
    if isinstance(item, dict):
        item = item["path"] if item.get("bytes") is None else io.BytesIO(item["bytes"])
    if not isinstance(item, (str, os.PathLike, io.BytesIO)):
        return None if sampling_rate is None else Origin(sampling_rate, 1, None)
    try:
        header = sf.info(item if isinstance(item, io.BytesIO) else os.fspath(item))
    except (RuntimeError, OSError, TypeError, ValueError):
        return None  # loading it says what is wrong
    return Origin(header.samplerate, header.channels if channel == "mean" else 1, header.subtype)


def _load_item(
    clips: Any,
    index: int,
    name: str,
    sampling_rate: int | None,
    channel: int | str | None,
    target_rate: int,
    max_seconds: float | None,
) -> np.ndarray:
    with _named_errors(name):
        item = clips[index]
        if isinstance(item, dict) and item.get("bytes") is not None:
            return _decode(io.BytesIO(item["bytes"]), name, target_rate, channel, max_seconds)
        if isinstance(item, dict) and item.get("path") is not None:
            item = item["path"]
        if isinstance(item, (str, os.PathLike)):
            return read_audio(item, target_rate, channel, max_seconds)
        return resample(*_array(item, name, sampling_rate), target_rate)


def _array(item: Any, name: str, sampling_rate: int | None) -> tuple[np.ndarray, int]:
    """A clip that is in memory: float32 [samples], and its sampling rate in Hz."""
    if item is None or isinstance(item, dict):
        raise ClipError(f"{name} holds no sound: remove its row")
    if sampling_rate is None:
        raise ClipError(f"{name} is an array, which does not say its sampling rate: pass sampling_rate= in Hz")
    if sampling_rate not in range(MIN_RATE, MAX_RATE + 1):
        raise ClipError(
            f"sampling_rate={sampling_rate} of {name} is not a whole number of Hz between {MIN_RATE} and {MAX_RATE}: "
            "pass the recording's"
        )
    waveform = item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else np.asarray(item)
    if waveform.ndim != 1:
        raise ClipError(
            f"{name} has shape {list(waveform.shape)}: expected [samples]; of several channels pass one, or their mean"
        )
    if waveform.dtype == np.int64:
        raise ClipError(f"{name} has dtype int64, which no recording fills: pass it as int16 or int32, as recorded")
    if np.issubdtype(waveform.dtype, np.signedinteger):
        waveform = waveform / -float(np.iinfo(waveform.dtype).min)
    elif not np.issubdtype(waveform.dtype, np.floating):
        raise ClipError(f"{name} has dtype {waveform.dtype}: pass float in [-1, 1] or signed integers")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused
        waveform = waveform.astype(np.float32)
    _check_samples(waveform, name)
    return waveform, int(sampling_rate)


def _decode(
    file: BinaryIO, name: str, sampling_rate: int, channel: int | str | None, max_seconds: float | None
) -> np.ndarray:
    if max_seconds is None:
        waveform, file_rate = decode(file, name, channel, sampling_rate)
        _check_samples(waveform, name)
        return resample(waveform, file_rate, sampling_rate)
    # the last samples that are kept are resampled from some that follow
    waveform, file_rate = decode(file, name, channel, sampling_rate, max_seconds + _FILTER_SECONDS)
    waveform = resample(waveform, file_rate, sampling_rate)[: round(max_seconds * sampling_rate)]
    _check_samples(waveform, name, max_seconds)
    return waveform


def _check_channel(channel: Any) -> None:
    is_index = isinstance(channel, int | np.integer) and not isinstance(channel, bool) and channel >= 0
    if channel not in (None, "mean") and not is_index:
        raise ValueError(f"channel={channel!r} is not a valid channel: use an index from 0, or 'mean'")


def _check_samples(waveform: np.ndarray, name: str, max_seconds: float | None = None) -> None:
    if waveform.size == 0:
        raise ClipError(f"{name} is empty (0 samples): remove it")
    low, high = float(waveform.min()), float(waveform.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ClipError(f"{name} holds NaN or infinite samples: repair or remove it")
    if max(-low, high) > MAX_AMPLITUDE:
        raise ClipError(
            f"{name} holds the sample {high if high > -low else low:g}, where full scale is 1: repair or remove it"
        )
    if low == high:
        part = f"all {waveform.size} samples" if max_seconds is None else f"its first {waveform.size} samples"
        raise SilentClipError(f"{name} is silent ({part} are {low:g}): remove it or check the recording")


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Turn whatever goes wrong with one clip into a ValueError with its name, so that the others can go on.

    What concerns all clips stays as it is: a missing library, an interruption.
    """
    try:
        yield
    except (ClipError, SilentClipError, FileNotFoundError, ImportError):
        raise
    except MemoryError as error:
        raise ClipError(f"{name} needs more memory than is free: cut it into shorter files") from error
    except OSError as error:
        raise ClipError(
            f"{name} cannot be opened ({error.strerror or error}): check it and its permissions"
        ) from error
    except Exception as error:
        reason = (
            str(error) if str(error).startswith(name) else f"{name} cannot be read ({error}): convert or remove it"
        )
        raise ClipError(reason) from error
