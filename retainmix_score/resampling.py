"""Another sampling rate, as the detector computes it: a windowed sinc, or soxr where its kernel would be too large.

The result differs from the detector's by rounding: at most 1e-6 of full scale.
"""

import math

import numpy as np
import soxr

MAX_KERNEL = 2**20  # numbers; larger kernels belong to rates without a large common divisor

_ZERO_CROSSINGS, _ROLLOFF = 6, 0.99  # half width of the filter, and where it cuts, of the lower Nyquist frequency
_CHUNK = 2**20  # samples that are resampled at a time


def resample(waveform: np.ndarray, sampling_rate: int, target_rate: int) -> np.ndarray:
    """Change the sampling rate of a waveform.

    Args:
        waveform: float32 [samples].
        sampling_rate, target_rate: in Hz.

    Returns:
        float32 [ceil(samples * target_rate / sampling_rate)].
    """
    if sampling_rate == target_rate:
        return waveform
    divisor = math.gcd(sampling_rate, target_rate)
    old, new = sampling_rate // divisor, target_rate // divisor
    count = -(-len(waveform) * new // old)
    cutoff = _ROLLOFF * min(old, new)
    reach = math.ceil(_ZERO_CROSSINGS * old / cutoff)  # input samples on either side that count
    if new * (2 * reach + old) > MAX_KERNEL:
        output = soxr.resample(waveform, sampling_rate, target_rate, quality="HQ")[:count]
        return np.pad(output, (0, count - len(output)))  # soxr rounds the length, which may be one sample less
    kernel = _kernel(old, new, cutoff, reach)
    # Each block of `old` input samples, with `reach` around it, makes `new` output samples.
    blocks = -(-count // new)
    padded = np.pad(waveform, (reach, max(blocks * old + reach - len(waveform), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + old)[::old][:blocks]
    step = max(_CHUNK // old, 1)
    parts = [np.ascontiguousarray(windows[start : start + step]) @ kernel for start in range(0, blocks, step)]
    return np.concatenate(parts).reshape(-1)[:count]


def _kernel(old: int, new: int, cutoff: float, reach: int) -> np.ndarray:
    """Weights of the input samples of a block for each of its output samples, float32 [2 * reach + old, new]."""
    # In float32 like the detector's, whose phases are rounded: a kernel of exact ones differs by 3e-5 of full scale.
    taken, made = (np.arange(start, stop, dtype=np.float32) for start, stop in ((-reach, old + reach), (0, new)))
    phase = (taken[:, None] / np.float32(old) - made / np.float32(new)) * np.float32(cutoff)  # in zero crossings
    phase = phase.clip(-_ZERO_CROSSINGS, _ZERO_CROSSINGS)
    window = np.cos(phase * np.float32(np.pi) / _ZERO_CROSSINGS / 2) ** 2
    return np.sinc(phase) * window * np.float32(cutoff / old)
