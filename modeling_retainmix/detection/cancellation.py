"""The far microphone's clip subtracted from the near one's before anything is embedded.

What both microphones hear of the surroundings is the same sound through two filters. In the short-time Fourier domain
a filter shorter than a frame is about one complex factor per frequency, which is fitted to the whole clip by least
squares:

    H[f] = sum_t C[f, t] conj(F[f, t]) / (sum_t |F[f, t]|^2 + 1e-12)
    Y[f, t] = C[f, t] - H[f] F[f, t]

with C the near and F the far clip. Y is a waveform again before it is cut into windows. The machine leaks into the far
clip, and is subtracted in part with it; noise that only one of the microphones hears stays.

Frames are taken in blocks, twice: the sums come first, then H F is subtracted. Beside the waveforms, 4 bytes a sample
each, that takes a fixed amount of memory, however long the clip is (its spectra would be 16 bytes a sample each).
"""

import math

import numpy as np

N_FFT = 1024  # samples of a frame, 64 ms at 16 kHz
HOP = N_FFT // 2
LEAST_RESIDUAL_DB = -60.0  # below the near clip: less is rounding and resampling of one and the same sound

_REGULARIZER = 1e-12  # of the far clip's power; the larger peak of both clips is 1
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)  # periodic
_OVERLAP = np.square(_HANN[:HOP]) + np.square(_HANN[HOP:])  # at every sample, between 0.5 and 1
_BLOCK = 512  # frames at a time: 4 MiB a spectrum


def cancel_far(near: np.ndarray, far: np.ndarray, name: str = "the clip") -> np.ndarray:
    """Subtract the far clip from the near one.

    Frames of a Hann window are centered on every 512th sample of the clips, which are reflected at their ends (as in
    `torch.stft`); one more beyond the end, which is not fitted, lets every sample lie in two. Computed in float64,
    both clips at the scale at which the larger peak is 1.

    Args:
        near, far: float32 [samples] at one rate, recorded at the same time.
        name: for messages.

    Returns:
        The residual, float32 [samples]; a copy of `near` if the far clip is silent.

    Raises:
        ValueError: the clips are shorter than a frame or differ in length, a sample is not finite, or what is left
            lies `LEAST_RESIDUAL_DB` below the near clip: both hold the same sound. The message gives `name`.
    """
    if near.ndim != 1 or near.shape != far.shape:
        raise ValueError(
            f"{name} has the shape {list(near.shape)}, its far clip {list(far.shape)}: pass [samples] twice"
        )
    if len(near) < N_FFT:
        raise ValueError(
            f"{name} has {len(near)} samples, fewer than the {N_FFT} of a frame in which its far clip is subtracted: "
            "leave it out or join it with others"
        )
    peaks = _peak(near), _peak(far)
    for clip, peak in zip((name, f"the far clip of {name}"), peaks, strict=True):
        if not math.isfinite(peak):
            raise ValueError(f"{clip} holds NaN or infinite samples: repair or remove it")
    scale = max(peaks)
    if scale == 0:
        return near.copy()
    gain, residual = _fit(near, far, scale)
    if residual <= 10 ** (LEAST_RESIDUAL_DB / 10):
        below = f"{-10 * math.log10(residual):.0f} dB under it" if residual > 0 else "nothing at all"
        raise ValueError(
            f"{name} without its far clip is empty (what is left is {below}): both hold the same sound; check "
            "channel= and far_channel=, or use microphones='near'"
        )
    cleaned = np.empty_like(near)
    num_parts = -(-len(near) // HOP)  # from the center of one frame to that of the next
    for first in range(0, num_parts, _BLOCK):
        last = min(first + _BLOCK, num_parts)
        frames = np.fft.irfft(gain * _spectra(far, first, last + 1, scale), N_FFT) * _HANN
        cancelled = (frames[:-1, HOP:] + frames[1:, :HOP]) / _OVERLAP
        part = slice(first * HOP, min(last * HOP, len(near)))
        cleaned[part] = near[part] - scale * cancelled.ravel()[: part.stop - part.start]
    return cleaned


def _fit(near: np.ndarray, far: np.ndarray, scale: float) -> tuple[np.ndarray, float]:
    """Fit H [frequencies] complex128, and return the power of Y relative to that of C."""
    cross, far_power, near_power = np.zeros(N_FFT // 2 + 1, np.complex128), np.zeros(N_FFT // 2 + 1), 0.0
    num_frames = len(near) // HOP + 1
    for first in range(0, num_frames, _BLOCK):
        last = min(first + _BLOCK, num_frames)
        near_spectra, far_spectra = (_spectra(clip, first, last, scale) for clip in (near, far))
        cross += (near_spectra * far_spectra.conj()).sum(axis=0)
        far_power += np.square(np.abs(far_spectra)).sum(axis=0)
        near_power += float(np.square(np.abs(near_spectra)).sum())
    gain = cross / (far_power + _REGULARIZER)
    explained = 2 * (gain.conj() * cross).real - np.square(np.abs(gain)) * far_power
    return gain, float(1 - explained.sum() / near_power) if near_power > 0 else 1.0


def _spectra(clip: np.ndarray, first: int, last: int, scale: float) -> np.ndarray:
    """Return the spectra of frames from `first` up to, and without, `last`: [frames, frequencies] complex128."""
    index = np.abs(np.arange(first * HOP - HOP, last * HOP))
    index %= 2 * len(clip) - 2  # the clip and back
    samples = clip[np.minimum(index, 2 * len(clip) - 2 - index)].astype(np.float64) / scale
    frames = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP]
    return np.fft.rfft(frames * _HANN)


def _peak(clip: np.ndarray) -> float:
    return max(float(clip.max()), -float(clip.min()))
