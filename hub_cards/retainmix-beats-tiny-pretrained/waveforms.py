"""What a feature extractor may be given (arrays, tensors, lists, int16, channels) as one padded batch of waveforms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

_MOST_CHANNELS = 16  # an array whose last axis is no longer than this holds channels there, not samples


def collect_waveforms(
    raw_speech: Any,
    channel: int | str | None = None,
    padding: bool | str = True,
    max_length: int | None = None,
    truncation: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Check clips and pad them with zeros to one length.

    Args:
        raw_speech: one clip [samples], a batch [batch, samples] or [batch, channels, samples], or a list of clips
            [samples] or [channels, samples]; numpy, torch or lists of numbers; float in [-1, 1] or int16.
        channel: which of several channels to take, or "mean".
        padding: True or "longest" pads to the longest clip, "max_length" to `max_length`; False or "do_not_pad" pads
            nothing.
        max_length: in samples.
        truncation: cut longer clips to `max_length`.

    Returns:
        Waveforms [batch, samples] float32, and how many samples of each are real, [batch] int64.

    Raises:
        ValueError: no clip, an empty or non-finite one, a wrong dtype or number of dimensions, several channels
            without `channel`, lengths that differ without padding, something other than numbers; the message names
            the clip.
    """
    if padding not in (True, False, "longest", "max_length", "do_not_pad"):
        raise ValueError(f"padding is {padding!r}, use True, False, 'longest', 'max_length' or 'do_not_pad'")
    if max_length is None and (truncation or padding == "max_length"):
        raise ValueError("truncation and padding='max_length' need max_length= in samples")
    cut = max_length if truncation else None
    if _is_batch(raw_speech):
        waveforms = _to_float(_as_tensor(raw_speech, "the batch"), "the batch")
        if waveforms.ndim == 2 and 0 < waveforms.shape[1] <= _MOST_CHANNELS < waveforms.shape[0]:
            raise ValueError(
                f"the batch has shape {list(waveforms.shape)}: expected [batch, samples]; a clip of several channels "
                "is [channels, samples] in a list"
            )
        if waveforms.ndim == 3:
            waveforms = _take_channel(waveforms, channel, "the batch")
        if waveforms.shape[0] == 0:
            raise ValueError("the list of clips is empty: pass at least one clip")
        waveforms = waveforms[:, :cut]
        lengths = torch.full((waveforms.shape[0],), waveforms.shape[1], device=waveforms.device)
    else:
        clips = _list_of_clips(raw_speech)
        clips = [_read_clip(clip, index, channel)[:cut] for index, clip in enumerate(clips)]
        lengths = torch.tensor([clip.shape[0] for clip in clips])
        if padding in (False, "do_not_pad") and lengths.unique().numel() > 1:
            raise ValueError(
                f"the clips have lengths from {lengths.min()} to {lengths.max()} samples: use padding=True, or "
                "return_tensors=None"
            )
        waveforms = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
        lengths = lengths.to(waveforms.device)
    if lengths.min() == 0:
        raise ValueError(f"clip {int(lengths.argmin())} is empty: leave it out")
    finite = torch.isfinite(waveforms).all(dim=1)
    if not finite.all():
        raise ValueError(
            f"clip {int((~finite).nonzero()[0])} holds NaN or infinite samples: repair it or leave it out"
        )
    if padding == "max_length" and max_length is not None:
        if waveforms.shape[1] > max_length:
            raise ValueError(
                f"clip {int(lengths.argmax())} has {lengths.max()} samples, more than max_length={max_length}: "
                "set truncation=True"
            )
        waveforms = torch.nn.functional.pad(waveforms, (0, max_length - waveforms.shape[1]))
    return waveforms, lengths


def _list_of_clips(raw_speech: Any) -> list[Any]:
    """The clips of any input that is not one array of several clips.

    Raises:
        ValueError: no clip, or a pair of waveform and sampling rate.
    """
    if isinstance(raw_speech, np.ndarray) and raw_speech.dtype == object:
        raw_speech = list(raw_speech)
    if _is_batch(raw_speech):
        return list(raw_speech)
    if not isinstance(raw_speech, (list, tuple)) or (len(raw_speech) > 0 and _is_number(raw_speech[0])):
        return [raw_speech]
    if len(raw_speech) == 0:
        raise ValueError("the list of clips is empty: pass at least one clip")
    if len(raw_speech) == 2 and _is_number(raw_speech[1]):
        raise ValueError(
            f"raw_speech is a pair of a waveform and the number {raw_speech[1]}: pass the waveform alone, and "
            f"sampling_rate={raw_speech[1]}"
        )
    return list(raw_speech)


def _is_batch(raw_speech: Any) -> bool:
    return isinstance(raw_speech, (np.ndarray, torch.Tensor)) and raw_speech.ndim in (2, 3)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) or (
        isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim == 0
    )


def _as_tensor(values: Any, name: str) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.detach()
    if isinstance(values, Mapping):
        raise ValueError(
            f"{name} is a dictionary ({', '.join(map(str, values))}): pass its waveforms, for example audio['array'], "
            "and sampling_rate=audio['sampling_rate']"
        )
    if isinstance(values, (str, bytes, Path)):
        shown = repr(values)[:80]
        raise ValueError(
            f"{name} is {shown}, not a waveform: read the file, for example with soundfile.read, or use "
            "AnomalyDetector, which takes paths"
        )
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read as an array of numbers: pass [samples] ({error})") from error
    if array.dtype == object or array.dtype.kind not in "biuf":
        raise ValueError(f"{name} is a {type(values).__name__} of {array.dtype}: pass numbers, [samples]")
    if array.dtype.kind in "iu" and isinstance(values, (list, tuple)) and array.size:
        if abs(array).max() > 1:
            raise ValueError(
                f"{name} is a list of whole numbers up to {abs(array).max()}: pass them as an int16 array, or as "
                "floats in [-1, 1]"
            )
        array = array.astype(np.float32)
    # Views that torch cannot take, such as reversed or read-only ones, and other byte orders, are copied.
    dtype = np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, dtype, ["C_CONTIGUOUS", "WRITEABLE"]))


def _read_clip(values: Any, index: int, channel: int | str | None) -> torch.Tensor:
    clip = _to_float(_as_tensor(values, f"clip {index}"), f"clip {index}")
    if clip.ndim == 2:
        clip = _take_channel(clip, channel, f"clip {index}")
    if clip.ndim != 1:
        raise ValueError(f"clip {index} has shape {list(clip.shape)}: expected [samples] or [channels, samples]")
    return clip


def _to_float(clip: torch.Tensor, name: str) -> torch.Tensor:
    if clip.dtype == torch.int16:
        return clip.float() / 2**15
    if not clip.is_floating_point():
        raise ValueError(f"{name} has dtype {clip.dtype}: pass float in [-1, 1] or int16")
    return clip.float()


def _take_channel(clip: torch.Tensor, channel: int | str | None, name: str) -> torch.Tensor:
    """[..., channels, samples] -> [..., samples]"""
    channels = clip.shape[-2]
    if 0 < clip.shape[-1] < channels:
        raise ValueError(f"{name} has shape {list(clip.shape)}: expected [channels, samples], transpose it")
    if channel is None and channels == 1:
        channel = 0
    if channel == "mean":
        return clip.mean(dim=-2)
    if not isinstance(channel, int) or not 0 <= channel < channels:
        raise ValueError(
            f"{name} has {channels} channels and channel={channel!r}: use an index from 0 to {channels - 1}, or 'mean'"
        )
    return clip[..., channel, :]
