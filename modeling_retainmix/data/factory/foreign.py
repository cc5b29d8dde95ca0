"""Sounds unlike any machine, for the training pool: families whose members differ as much as machines do.

A student that hears machines alone may learn to hear everything as one. Nothing here turns: no shaft, no body filter.
"""

from collections.abc import Callable

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.machines import FLOOR_DB, LEVEL_DBFS
from modeling_retainmix.data.factory.noise import CREST
from modeling_retainmix.data.factory.sessions import COLOR_HZ
from modeling_retainmix.data.factory.signals import MARGIN, SAMPLING_RATE, decibels

HIGHEST_HZ = 7000.0  # of any tone

Synthesis = Callable[[np.random.Generator, np.random.Generator, int], np.ndarray]


def glides(sound_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize three tones that wander over octaves, each by itself."""
    centers, spans = 2 ** sound_rng.uniform(np.log2(200), np.log2(3500), 3), sound_rng.uniform(0.2, 0.8, 3)
    sound = np.zeros(length)
    for center, span in zip(centers, spans, strict=True):
        pitch = np.minimum(center * 2 ** signals.slow_curve(rng, length, span, 0.3), HIGHEST_HZ)
        phase = 2 * np.pi * (np.cumsum(pitch) / SAMPLING_RATE + rng.uniform())
        sound += np.cos(phase) * decibels(signals.slow_curve(rng, length, 6.0, 0.3))
    return sound


def calls(sound_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a voice of no human: short harmonic calls whose pitch bends, with pauses."""
    pitch, rate = 2 ** sound_rng.uniform(np.log2(250), np.log2(1200)), sound_rng.uniform(1.0, 4.0)
    share, bend, decay = sound_rng.uniform(0.25, 0.6), sound_rng.normal(0.0, 0.8), sound_rng.uniform(0.4, 0.9)
    position = (np.arange(length) / SAMPLING_RATE * rate + rng.uniform()) % 1.0
    gate = np.clip(20.0 * np.minimum(position, share - position), 0.0, 1.0)
    f0 = pitch * 2 ** (bend * position + signals.slow_curve(rng, length, 0.05, 0.2))
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLING_RATE
    harmonics = [decay**order * np.cos(order * phase) * (order * f0 < HIGHEST_HZ) for order in range(1, 7)]
    return np.sum(harmonics, axis=0) * gate


def textures(sound_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize noise of a spectrum that is drawn anew every half octave, its level on the move."""
    freq = signals.frequencies(length)
    color_db = sound_rng.normal(0.0, 10.0, len(COLOR_HZ))
    response = decibels(np.interp(np.log2(np.maximum(freq, 20.0)), np.log2(COLOR_HZ), color_db))
    moving = signals.slow_curve(rng, length, sound_rng.uniform(1.0, 8.0), 10 ** sound_rng.uniform(-1.7, -0.5))
    return signals.shaped_noise(rng, response, length) * decibels(moving)


def clusters(sound_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize things that fall and ring: inharmonic tones that begin together and die away, at random times."""
    centers, decays = 2 ** sound_rng.uniform(np.log2(300), np.log2(6000), 6), sound_rng.uniform(0.02, 0.4, 6)
    count = max(2, rng.poisson(sound_rng.uniform(1.0, 6.0) * length / SAMPLING_RATE))
    modes = signals.damped_modes(signals.frequencies(length), centers * 2 ** rng.normal(0.0, 0.02, 6), decays)
    return signals.ring(rng.integers(0, length, count), decibels(rng.normal(0.0, 4.0, count)), modes, length)


FAMILIES: dict[str, Synthesis] = {"glides": glides, "calls": calls, "textures": textures, "clusters": clusters}


def foreign_clip(
    family: str,
    sound_rng: np.random.Generator,
    rng: np.random.Generator,
    num_samples: int,
    path: np.ndarray | None = None,
) -> np.ndarray:
    """Synthesize a clip of a sound, at the level of the machine clips, over their noise floor.

    Args:
        family: of `FAMILIES`.
        sound_rng: the same for all clips of a sound.
        rng: of the clip.
        num_samples: length of the clip.
        path: [bins] complex response to the microphone; None: none.

    Returns:
        int16 [num_samples].
    """
    length = signals.padded_length(num_samples)
    sound = signals.unit_rms(FAMILIES[family](sound_rng, rng, length))
    floor = signals.shaped_noise(rng, signals.tilt(signals.frequencies(length), -2.0), length)
    heard = sound + floor * decibels(FLOOR_DB)
    if path is not None:
        heard = fft.irfft(fft.rfft(heard) * path, length)
    clip = signals.limit_peaks(heard[MARGIN : MARGIN + num_samples], CREST)
    return signals.to_int16(clip * decibels(rng.normal(*LEVEL_DBFS)))
