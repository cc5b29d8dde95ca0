"""Building blocks of the procedural factory: keyed generators, slow curves, shaped noise, impulses and damped modes.

Everything is float64; signals are made `MARGIN` samples longer at both ends than the clip that is kept, because
filtering in the frequency domain wraps around.
"""

import numpy as np
from scipy import fft

SAMPLING_RATE = 16000
MARGIN = 2048  # samples at either end that circular filtering may spoil


def keyed_generator(seed: int, *key: str | int) -> np.random.Generator:
    """Return a generator that depends on the seed and the key alone, so that clips can be made in any order."""
    return np.random.default_rng([seed, *"/".join(map(str, key)).encode()])


def padded_length(num_samples: int) -> int:
    """Return how many samples to synthesize for a clip: both margins, rounded up to a fast FFT length."""
    return int(fft.next_fast_len(num_samples + 2 * MARGIN, real=True))


def frequencies(length: int) -> np.ndarray:
    """Return the frequencies in Hz of the real FFT of `length` samples, [length // 2 + 1]."""
    return fft.rfftfreq(length, 1.0 / SAMPLING_RATE)


def decibels(level_db: float | np.ndarray) -> np.ndarray:
    """Return the amplitude factor of a level in dB."""
    return np.asarray(10.0 ** (np.asarray(level_db) / 20.0))


def unit_rms(signal: np.ndarray) -> np.ndarray:
    """Return the signal [..., samples] scaled to a root mean square of 1; a silent one stays silent."""
    rms = np.sqrt(np.mean(np.square(signal), axis=-1, keepdims=True))
    return signal / np.where(rms > 0.0, rms, 1.0)


def slow_curve(generator: np.random.Generator, length: int, std: float, knot_seconds: float) -> np.ndarray:
    """Return a random curve [length] of standard deviation `std`, linear between knots `knot_seconds` apart."""
    num_knots = int(np.ceil(length / SAMPLING_RATE / knot_seconds)) + 2
    positions = np.arange(length) / (SAMPLING_RATE * knot_seconds) + generator.uniform()
    return np.interp(positions, np.arange(num_knots), generator.normal(0.0, std, num_knots))


def tilt(freq: np.ndarray, db_per_octave: float, pivot_hz: float = 1000.0) -> np.ndarray:
    """Return the amplitude response that rises by `db_per_octave` and is 1 at the pivot; flat below 40 Hz."""
    return decibels(db_per_octave * np.log2(np.maximum(freq, 40.0) / pivot_hz))


def bumps(freq: np.ndarray, centers_hz: np.ndarray, heights_db: np.ndarray, widths_octaves: np.ndarray) -> np.ndarray:
    """Return the amplitude response [bins] of resonances, Gaussian in log frequency; each argument is [peaks]."""
    octaves = np.log2(np.maximum(freq, 20.0))
    response_db = np.zeros(len(freq))
    for center, height, width in zip(centers_hz, heights_db, widths_octaves, strict=True):
        response_db += height * np.exp(-0.5 * ((octaves - np.log2(center)) / width) ** 2)
    return decibels(response_db)


def band(freq: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    """Return the amplitude response of a band with slopes of second order at both ends."""
    safe = np.maximum(freq, 1.0)
    return 1.0 / np.sqrt((1.0 + (low_hz / safe) ** 4) * (1.0 + (safe / high_hz) ** 4))


def shaped_noise(generator: np.random.Generator, response: np.ndarray, length: int) -> np.ndarray:
    """Return Gaussian noise [length] of unit RMS with the amplitude response [length // 2 + 1]."""
    bins = generator.standard_normal((2, len(response)))
    return unit_rms(fft.irfft((bins[0] + 1j * bins[1]) * response, length))


def damped_modes(freq: np.ndarray, centers_hz: np.ndarray, decay_seconds: np.ndarray) -> np.ndarray:
    """Return the complex response [bins] of modes: they ring at `centers_hz` and decay in `decay_seconds`, [modes]."""
    s = 2j * np.pi * freq
    response = np.zeros(len(freq), dtype=np.complex128)
    for center, decay in zip(2 * np.pi * centers_hz, decay_seconds, strict=True):
        response += (center / decay) / ((s + 1.0 / decay) ** 2 + center**2)
    return response


def ring(
    positions: np.ndarray, amplitudes: np.ndarray, modes: np.ndarray, length: int, envelope: np.ndarray | None = None
) -> np.ndarray:
    """Return impulses at sample `positions` with `amplitudes` through the response `modes`, of unit RMS, [length]."""
    train = np.bincount(positions, amplitudes, minlength=length)[:length]
    if envelope is not None:
        train = train * envelope
    return unit_rms(fft.irfft(fft.rfft(train) * modes, length))


def crossings(phase: np.ndarray) -> np.ndarray:
    """Return the sample positions at which a rising phase (in turns, [samples]) passes a whole number."""
    return np.flatnonzero(np.diff(np.floor(phase)) > 0)


def limit_peaks(signal: np.ndarray, crest: float) -> np.ndarray:
    """Clip the peaks of a signal [samples] at `crest` times its RMS and bring it to an RMS of 1.

    Clipping lowers the RMS of an impulsive signal and so raises the ratio again: a second pass brings it close.
    """
    for _ in range(3):
        signal = unit_rms(np.clip(unit_rms(signal), -crest, crest))
    return signal


def to_int16(signal: np.ndarray) -> np.ndarray:
    """Round a signal in [-1, 1] to int16; what lies outside is clipped."""
    return np.clip(np.rint(signal * 32768.0), -32768, 32767).astype(np.int16)
