"""Recordings as float32 waveforms at one sampling rate, checked as the detector checks them."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import soundfile

from retainmix_score.resampling import resample

MIN_RATE, MAX_RATE = 1_000, 1_000_000  # in Hz: what a recording may have


def load_clips(
    audio: Any, target_rate: int, sampling_rate: int | None = None, channel: int | str | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Read clips one after another.

    Args:
        audio: a path, an array [samples] or [batch, samples], or a list of paths or arrays [samples]; arrays hold
            floats of full scale 1, or signed integers.
        target_rate: of the result, in Hz.
        sampling_rate: of arrays, in Hz.
        channel: what to take of files with several channels: an index from 0, or "mean".

    Yields:
        Name and float32 [samples] of each clip.

    Raises:
        ValueError: a clip that cannot be read, is empty, silent or not finite, or whose channel or sampling rate is
            missing; the message names it.
    """
    clips: Sequence[Any] = audio if isinstance(audio, list | tuple) else [audio]
    if isinstance(audio, np.ndarray) and audio.ndim == 2:
        clips = list(audio)
    for index, clip in enumerate(clips):
        if isinstance(clip, str | os.PathLike):
            name, (waveform, rate) = os.fspath(clip), _read(os.fspath(clip), channel)
        else:
            name, (waveform, rate) = f"clip {index}", _array(clip, f"clip {index}", sampling_rate)
        _check(waveform, rate, name)
        yield name, resample(waveform, rate, target_rate)


def _read(path: str, channel: int | str | None) -> tuple[np.ndarray, int]:
    if not os.path.exists(path):
        raise ValueError(f"{path} does not exist: check the path")
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}): check the path, or convert it to WAV or FLAC") from error
    channels = samples.shape[1]
    if channels == 1:
        return samples[:, 0], rate
    if channel == "mean":
        return samples.mean(axis=1), rate
    if not isinstance(channel, int) or not 0 <= channel < channels:
        missing = "" if channel is None else f" and no channel {channel!r}"
        indices = "0 or 1" if channels == 2 else f"0 to {channels - 1}"
        raise ValueError(
            f"{path} has {channels} channels{missing}: choose one with channel={indices}, or channel='mean' "
            "(--channel on the command line)"
        )
    return np.ascontiguousarray(samples[:, channel]), rate


def _array(clip: Any, name: str, sampling_rate: int | None) -> tuple[np.ndarray, int]:
    if sampling_rate is None:
        raise ValueError(f"{name} is an array, which does not say its sampling rate: pass sampling_rate= in Hz")
    waveform = np.asarray(clip)
    if waveform.ndim != 1 or waveform.dtype.kind not in "fi":
        raise ValueError(
            f"{name} has shape {list(waveform.shape)} and dtype {waveform.dtype}: pass [samples] of floats in [-1, 1] "
            "or of signed integers"
        )
    if waveform.dtype.kind == "i":
        waveform = waveform / -float(np.iinfo(waveform.dtype).min)
    return waveform.astype(np.float32), sampling_rate


def _check(waveform: np.ndarray, sampling_rate: int, name: str) -> None:
    if not MIN_RATE <= sampling_rate <= MAX_RATE:
        raise ValueError(f"{name} has a sampling rate of {sampling_rate} Hz, not between {MIN_RATE} and {MAX_RATE}")
    if waveform.size == 0:
        raise ValueError(f"{name} is empty (0 samples): remove it")
    if not np.isfinite(waveform).all():
        raise ValueError(f"{name} holds NaN or infinite samples: repair or remove it")
    if waveform.min() == waveform.max():
        raise ValueError(f"{name} is silent (all {waveform.size} samples are {waveform[0]:g}): check the recording")
