"""The ambience of a factory: colored noise and tones that are always heard."""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.catalogue import NoiseFactory
from modeling_retainmix.data.factory.signals import decibels


@dataclass(frozen=True)
class Ambience:
    """What is always heard in a factory.

    Attributes:
        color_db: level at `color_hz` [knots], the spectrum of the noise.
        tones_hz, tones_db: [tones] frequencies and levels relative to the noise.
    """

    color_hz: np.ndarray
    color_db: np.ndarray
    tones_hz: np.ndarray
    tones_db: np.ndarray


def draw_ambience(factory: NoiseFactory, seed: int, zone: int | None = None) -> Ambience:
    """Draw the ambience of a factory, or of one zone of it (other color, same tones at other levels)."""
    rng = signals.keyed_generator(seed, "ambience", factory.name)
    color_hz = 2.0 ** np.arange(np.log2(62.5), np.log2(8000.0) + 0.1, 0.5)
    octaves = np.log2(color_hz / 1000.0)
    color_db = rng.uniform(-5.0, -3.5) * octaves + rng.normal(0.0, 2.5, len(octaves))
    num_tones = 6
    tones_hz = 2 ** rng.uniform(np.log2(90), np.log2(3000), num_tones)
    tones_db = rng.uniform(-18.0, -10.0, num_tones)
    if zone is not None:
        rng = signals.keyed_generator(seed, "ambience", factory.name, zone)
        color_db = color_db + rng.normal(0.0, 2.5, len(octaves))
        tones_db = tones_db + rng.normal(0.0, 4.0, num_tones)
    return Ambience(color_hz, color_db, tones_hz, tones_db)


def ambience_sound(ambience: Ambience, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a stretch of ambience of unit RMS, [length]: color and tones differ a little from clip to clip."""
    freq = signals.frequencies(length)
    color_db = ambience.color_db + rng.normal(0.0, 0.7, len(ambience.color_db))
    octaves = np.log2(np.maximum(freq, 31.25))
    response = decibels(np.interp(octaves, np.log2(ambience.color_hz), color_db))
    sound = signals.shaped_noise(rng, response, length)
    sound *= decibels(signals.slow_curve(rng, length, 0.7, 0.5))
    # tones on bins of the long FFT: one inverse transform for all of them
    tones = np.zeros(len(freq), dtype=np.complex128)
    detuned_hz = ambience.tones_hz * (1.0 + 0.002 * rng.standard_normal(len(ambience.tones_hz)))
    amplitudes = np.sqrt(2) * decibels(ambience.tones_db + rng.normal(0.0, 1.0, len(ambience.tones_db)))
    phases = rng.uniform(0.0, 2 * np.pi, len(amplitudes))
    np.add.at(tones, np.rint(detuned_hz / freq[1]).astype(np.int64), amplitudes * np.exp(1j * phases) * length / 2)
    sound += fft.irfft(tones, length)
    return signals.unit_rms(sound)
