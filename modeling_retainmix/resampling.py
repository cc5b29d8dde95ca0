"""Another sampling rate: torchaudio's band-limited interpolation while its kernel is small, else soxr.

torchaudio builds one filter for each output phase: with the rates divided by their greatest common divisor, `o` and
`n`, that is a kernel of about n (o + 12 max(1, o / n)) numbers. From 44.1 kHz to 16 kHz these are 76,000; from
12,207 Hz to 16 kHz, which share no divisor, 195 million. Beyond `MAX_KERNEL` numbers soxr takes its place, whose cost
does not depend on the ratio.
"""

import math

import numpy as np
import soxr
import torch

MIN_RATE, MAX_RATE = 1_000, 1_000_000  # in Hz: what a recording of sound or of vibration may have
MAX_KERNEL = 2**20  # numbers: 4 MiB in float32

_CHUNK = 2**22  # samples that are resampled at a time
_FILTER_WIDTH, _ROLLOFF = 6, 0.99  # torchaudio's defaults


def check_rate(sampling_rate: int, name: str) -> None:
    """Refuse a sampling rate that no recording has.

    Raises:
        ValueError: it is not between 1 kHz and 1 MHz; the message begins with `name`.
    """
    if not MIN_RATE <= sampling_rate <= MAX_RATE:
        raise ValueError(
            f"{name} has a sampling rate of {sampling_rate} Hz, which is not between {MIN_RATE} and {MAX_RATE}: "
            "correct its header or remove it"
        )


def resample(waveform: np.ndarray, sampling_rate: int, target_rate: int) -> np.ndarray:
    """Change the sampling rate of a waveform.

    Args:
        waveform: float32 [samples].
        sampling_rate, target_rate: in Hz, whole numbers.

    Returns:
        float32 [ceil(samples * target_rate / sampling_rate)]; beside the result little memory is needed.

    Raises:
        ImportError: torchaudio does not load beside this torch.
    """
    if sampling_rate == target_rate:
        return waveform
    divisor = math.gcd(sampling_rate, target_rate)
    old, new = sampling_rate // divisor, target_rate // divisor
    resampled = np.empty(-(-len(waveform) * new // old), dtype=np.float32)
    width = math.ceil(_FILTER_WIDTH * old / (min(old, new) * _ROLLOFF))  # of half a filter
    if new * (2 * width + old) > MAX_KERNEL:
        _resample_with_soxr(waveform, sampling_rate, target_rate, resampled)
    else:
        _resample_with_torchaudio(waveform, old, new, -(-width // old) + 1, resampled)
    return resampled


def _resample_with_torchaudio(waveform: np.ndarray, old: int, new: int, margin: int, resampled: np.ndarray) -> None:
    """Piece by piece: `old` samples become `new`, and each piece also sees `margin` times `old` samples around it."""
    try:
        from torchaudio.functional import resample as interpolate
    except (ImportError, OSError) as error:
        raise ImportError(
            f"torchaudio does not load beside torch {torch.__version__} ({error}): install the torchaudio of the same "
            "release and of the same kind (CPU or CUDA)"
        ) from error
    step = max(_CHUNK // old, 1)
    for start in range(0, -(-len(waveform) // old), step):
        first = max(start - margin, 0)
        piece = torch.from_numpy(waveform[first * old : (start + step + margin) * old])
        output = interpolate(piece, old, new, lowpass_filter_width=_FILTER_WIDTH, rolloff=_ROLLOFF).numpy()
        place = resampled[start * new : (start + step) * new]
        place[:] = output[(start - first) * new :][: len(place)]


def _resample_with_soxr(waveform: np.ndarray, sampling_rate: int, target_rate: int, resampled: np.ndarray) -> None:
    stream = soxr.ResampleStream(sampling_rate, target_rate, 1, dtype="float32", quality="HQ")
    position = 0
    for start in range(0, len(waveform), _CHUNK):
        piece = waveform[start : start + _CHUNK]
        output = stream.resample_chunk(piece, last=start + len(piece) == len(waveform))[: len(resampled) - position]
        resampled[position : position + len(output)] = output
        position += len(output)
    resampled[position:] = 0.0  # soxr rounds the length, which may be one sample less
