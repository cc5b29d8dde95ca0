"""Rooms: early reflections and reverberation between a source and the microphone."""

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory.signals import SAMPLING_RATE, decibels

REFLECTIONS = 6
REFLECTION_SECONDS = (0.001, 0.02)
DECAY_DB = 60.0  # that the reverberation loses in the time it is named by


def room_response(
    rng: np.random.Generator, length: int, reverb_seconds: float, reflections_db: np.ndarray, tail_db: float
) -> np.ndarray:
    """Draw the response of a path through a room: the direct sound, reflections and a tail of decaying noise.

    Filtering with it in the frequency domain wraps around: what the end of a signal leaves behind is heard at its
    start.

    Args:
        rng: of the position; draws delays, signs and the tail.
        length: samples of the signal to filter.
        reverb_seconds: time in which the tail loses 60 dB.
        reflections_db: [`REFLECTIONS`] levels relative to the direct sound.
        tail_db: energy of the tail relative to the direct sound.

    Returns:
        complex128 [length // 2 + 1].
    """
    impulse = np.zeros(length)
    impulse[0] = 1.0
    delays = (rng.uniform(*REFLECTION_SECONDS, REFLECTIONS) * SAMPLING_RATE).astype(np.int64)
    np.add.at(impulse, delays, rng.choice([-1.0, 1.0], REFLECTIONS) * decibels(reflections_db))
    start = int(REFLECTION_SECONDS[1] * SAMPLING_RATE)
    seconds = np.arange(min(length - start, int(reverb_seconds * SAMPLING_RATE))) / SAMPLING_RATE
    tail = rng.standard_normal(len(seconds)) * decibels(-DECAY_DB / reverb_seconds * seconds)
    impulse[start : start + len(tail)] += tail * (decibels(tail_db) / np.sqrt(np.sum(np.square(tail))))
    return np.asarray(fft.rfft(impulse))


def draw_reverb_seconds(rng: np.random.Generator) -> float:
    """Draw the reverberation time of a factory's hall in seconds."""
    return float(rng.uniform(0.3, 0.8))
