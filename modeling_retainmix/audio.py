"""The one door through which sound comes in: files, folders, arrays and table columns as float32 waveforms."""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch
from datasets import Audio, Column, List

from modeling_retainmix.mixing import SilentClipError

SAMPLING_RATE = 16000
AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif")

_MOST_CHANNELS = 16  # an array whose last axis is no longer than this holds channels there, not samples


@dataclass(frozen=True)
class AudioSource:
    """A clip that has not been read yet.

    Attributes:
        name: file name, or position among the clips that were passed; error messages use it.
        load: reads it: float32 [samples] at the sampling rate that was asked for.
        describe: gives the sampling rate in Hz and the number of channels of the file or array; None: unknown.
    """

    name: str
    load: Callable[[], np.ndarray]
    describe: Callable[[], tuple[int, int] | None] = lambda: None


def read_audio(
    path: str | os.PathLike[str], sampling_rate: int = SAMPLING_RATE, channel: int | str | None = None
) -> np.ndarray:
    """Reads a sound file.

    Args:
        path: of any format that libsndfile reads (WAV, FLAC, Ogg, MP3, ...).
        sampling_rate: of the result, in Hz; a file of another rate is resampled.
        channel: what to take of several channels: an index from 0, or "mean"; a file of one channel is taken as it is.

    Returns:
        float32 [samples] in [-1, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be decoded, is empty, silent or not finite, or has several channels and `channel` does
            not say which one; or `channel` is neither an index nor "mean".
    """
    _check_channel(channel)
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a sound file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}: check the path")
    return _decode(path, str(path), sampling_rate, channel)


def list_audio_files(folder: str | os.PathLike[str]) -> list[Path]:
    """The sound files of a folder and its subfolders, sorted by path.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no sound file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist or is no folder: check the path")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not files:
        raise ValueError(f"{folder} holds no sound file ({', '.join(AUDIO_SUFFIXES)}): check the path")
    return files


def audio_sources(
    audio: Any, sampling_rate: int | None = None, channel: int | str | None = None, target_rate: int = SAMPLING_RATE
) -> list[AudioSource]:
    """Lists the clips of an audio argument without reading them.

    Args:
        audio: a path; a folder; a [samples] or [batch, samples] array or tensor, float in [-1, 1] or integer in its
            full range; a column of a `datasets` table (lists of samples, paths, or an Audio feature); or a list of
            paths or of [samples] arrays.
        sampling_rate: of arrays, in Hz; required for them. Files bring their own.
        channel: what to take of files with several channels: an index, or "mean".
        target_rate: sampling rate of the loaded clips, in Hz.

    Raises:
        FileNotFoundError, ValueError: a missing or empty folder, an array without sampling rate or with channels, an
            unknown form, or a `channel` that is neither an index nor "mean".
    """
    _check_channel(channel)
    if isinstance(audio, (str, os.PathLike)):
        paths = list_audio_files(audio) if Path(audio).is_dir() else [Path(audio)]
        return [
            AudioSource(
                str(path), partial(read_audio, path, target_rate, channel), partial(_describe, [path], 0, None)
            )
            for path in paths
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
    return [
        AudioSource(
            _item_name(clips, index),
            partial(_load_item, clips, index, sampling_rate, channel, target_rate),
            partial(_describe, clips, index, sampling_rate),
        )
        for index in range(len(clips))
    ]


def iter_clips(
    audio: Any, sampling_rate: int | None = None, channel: int | str | None = None, target_rate: int = SAMPLING_RATE
) -> Iterator[np.ndarray]:
    """Yields the clips of an audio argument, float32 [samples] each; arguments and errors as in `audio_sources`."""
    for source in audio_sources(audio, sampling_rate, channel, target_rate):
        yield source.load()


def resample(waveform: np.ndarray, sampling_rate: int, target_rate: int) -> np.ndarray:
    """Changes the sampling rate of a waveform [samples] with torchaudio's band-limited interpolation.

    Raises:
        ImportError: torchaudio does not load beside this torch.
    """
    if sampling_rate == target_rate:
        return waveform
    try:
        from torchaudio.functional import resample as interpolate
    except (ImportError, OSError) as error:
        raise ImportError(
            f"torchaudio does not load beside torch {torch.__version__} ({error}): install the torchaudio of the same "
            "release and of the same kind (CPU or CUDA)"
        ) from error
    return interpolate(torch.from_numpy(waveform), sampling_rate, target_rate).numpy()


def _without_decoder(column: Column) -> Column:
    """The column in a form that needs no decoder beside soundfile and builds no Python number per sample."""
    table, name = column.source, column.column_name
    if isinstance(column.features, Audio):
        return table.cast_column(name, Audio(decode=False))[name]
    if isinstance(column.features, List):
        return table.with_format("numpy", dtype=np.dtype(column.features.feature.dtype))[name]
    return column


def _item_name(clips: Any, index: int) -> str:
    if isinstance(clips, (list, tuple)) and isinstance(clips[index], (str, os.PathLike)):
        return str(clips[index])
    return f"clip {index}"


def _describe(clips: Any, index: int, sampling_rate: int | None) -> tuple[int, int] | None:
    """Sampling rate and channels of a clip, from its header if it is a file."""
    item = clips[index]
    if isinstance(item, dict):
        item = item["path"] if item.get("bytes") is None else io.BytesIO(item["bytes"])
    if not isinstance(item, (str, os.PathLike, io.BytesIO)):
        return None if sampling_rate is None else (sampling_rate, 1)
    try:
        header = sf.info(item if isinstance(item, io.BytesIO) else os.fspath(item))
    except (sf.LibsndfileError, OSError, TypeError):
        return None  # loading it says what is wrong
    return header.samplerate, header.channels


def _load_item(
    clips: Any, index: int, sampling_rate: int | None, channel: int | str | None, target_rate: int
) -> np.ndarray:
    item, name = clips[index], f"clip {index}"
    if isinstance(item, (str, os.PathLike)):
        return read_audio(item, target_rate, channel)
    if isinstance(item, dict):
        if item.get("bytes") is None:
            return read_audio(item["path"], target_rate, channel)
        return _decode(io.BytesIO(item["bytes"]), item.get("path") or name, target_rate, channel)
    if sampling_rate is None:
        raise ValueError(f"{name} is an array, which does not say its sampling rate: pass sampling_rate= in Hz")
    if sampling_rate not in range(1, 10**9):
        raise ValueError(f"sampling_rate={sampling_rate} of {name} is no whole number of Hz: pass the recording's")
    waveform = item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else np.asarray(item)
    if waveform.ndim != 1:
        raise ValueError(
            f"{name} has shape {list(waveform.shape)}: expected [samples]; of several channels pass one, or their mean"
        )
    if np.issubdtype(waveform.dtype, np.signedinteger):
        waveform = waveform / -float(np.iinfo(waveform.dtype).min)
    elif not np.issubdtype(waveform.dtype, np.floating):
        raise ValueError(f"{name} has dtype {waveform.dtype}: pass float in [-1, 1] or signed integers")
    waveform = waveform.astype(np.float32)
    _check_samples(waveform, name)
    return resample(waveform, int(sampling_rate), target_rate)


def _decode(file: Any, name: str, sampling_rate: int, channel: int | str | None) -> np.ndarray:
    try:
        samples, file_rate = sf.read(file, dtype="float32", always_2d=True)
    except sf.LibsndfileError as error:
        raise ValueError(f"{name} cannot be decoded ({error.error_string}): convert or remove it") from error
    waveform = _take_channel(samples, name, channel)
    _check_samples(waveform, name)
    return resample(waveform, file_rate, sampling_rate)


def _take_channel(samples: np.ndarray, name: str, channel: Any) -> np.ndarray:
    """[samples, channels] -> [samples], for a channel that `_check_channel` let pass."""
    channels = samples.shape[1]
    if channel == "mean":
        return samples.mean(axis=1)
    if channels == 1:
        return samples[:, 0]
    if channel is None or channel >= channels:
        raise ValueError(
            f"{name} has {channels} channels and channel={channel}: use an index from 0 to {channels - 1}, or 'mean'"
        )
    return np.ascontiguousarray(samples[:, channel])


def _check_channel(channel: Any) -> None:
    is_index = isinstance(channel, int | np.integer) and not isinstance(channel, bool) and channel >= 0
    if channel not in (None, "mean") and not is_index:
        raise ValueError(f"channel={channel!r} is no channel: use an index from 0, or 'mean'")


def _check_samples(waveform: np.ndarray, name: str) -> None:
    if waveform.size == 0:
        raise ValueError(f"{name} is empty (0 samples): remove it")
    if not np.isfinite(waveform).all():
        raise ValueError(f"{name} holds NaN or infinite samples: mend or remove it")
    if waveform.min() == waveform.max():
        raise SilentClipError(
            f"{name} is silent (all {waveform.size} samples are {waveform[0]:g}): remove it or check the recording"
        )
