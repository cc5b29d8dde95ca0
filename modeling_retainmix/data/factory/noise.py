"""Noise of factories: an ambience of colored noise and tones, and events that happen in it.

Stationary and non-stationary noise of one factory share the ambience; the events, and the swelling of the ambience
that comes with them, make the difference.
"""

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.ambience import ambience_sound, draw_ambience
from modeling_retainmix.data.factory.catalogue import NoiseFactory
from modeling_retainmix.data.factory.events import EVENTS
from modeling_retainmix.data.factory.hall import draw_hall, draw_path, draw_place, draw_scene, scene_sound
from modeling_retainmix.data.factory.signals import MARGIN, decibels

EVENT_DB = (5.0, 2.0)  # level of events and swell over the ambience: mean, standard deviation from clip to clip
FAMILY_STD_DB = 6.0  # level of one family beside another, from clip to clip (version 4)
AMBIENCE_DBFS = (-32.0, 1.0)  # level of the ambience: mean and standard deviation from clip to clip
SWELL_DB = -3.0  # level of the swelling ambience relative to the events proper
SWELL_STD_DB = 6.0  # how strongly it swells
CREST = 7.0  # peaks are clipped at this multiple of the RMS
ZONES = 2  # places in a training factory, each with an ambience of its own color


def noise_clip(
    factory: NoiseFactory,
    seed: int,
    rng: np.random.Generator,
    zone: int | None,
    events: list[str],
    num_samples: int,
    version: int,
) -> np.ndarray:
    """Synthesize a segment of factory noise.

    Args:
        factory: where it is recorded.
        seed: of the factory.
        rng: of the clip.
        zone: of a training factory; None: the one place of a validation or evaluation factory.
        events: families that happen in the clip; none: stationary noise.
        num_samples: length of the clip.
        version: of the factory.

    Returns:
        int16 [num_samples].
    """
    length = signals.padded_length(num_samples)
    kept = slice(MARGIN, MARGIN + num_samples)
    if version >= 4:
        sound = fft.rfft(_hall_noise(factory, seed, rng, zone, events, length)) * draw_place(rng, length)
        return _level(fft.irfft(sound, length)[kept], rng)
    ambience = draw_ambience(factory, seed, zone)
    sound = signals.unit_rms(ambience_sound(ambience, rng, length)[kept])
    if events:
        happening = np.zeros(num_samples)
        for family in events:
            site_rng = signals.keyed_generator(seed, "event", factory.name, family)
            happening += signals.unit_rms(EVENTS[family](site_rng, rng, length)[kept])
        # work makes the whole hall louder: part of it is heard as a swelling of the ambience
        swell = ambience_sound(ambience, rng, length) * decibels(signals.slow_curve(rng, length, SWELL_STD_DB, 0.3))
        happening = signals.unit_rms(happening) + signals.unit_rms(swell[kept]) * decibels(SWELL_DB)
        sound = sound + signals.unit_rms(happening) * decibels(rng.normal(*EVENT_DB))
    return _level(sound, rng)


def _hall_noise(
    factory: NoiseFactory, seed: int, rng: np.random.Generator, zone: int | None, events: list[str], length: int
) -> np.ndarray:
    """Return noise of version 4, [length]: what a clip hears of the hall, and events somewhere in it."""
    kept = slice(MARGIN, length - MARGIN)
    hall = draw_hall(factory, seed, zone)
    ambience = scene_sound(hall, draw_scene(hall, rng), rng, length)
    if not events:
        return ambience
    happening = np.zeros(length)
    for family in events:
        site_rng = signals.keyed_generator(seed, "event", factory.name, family)
        event = fft.irfft(fft.rfft(EVENTS[family](site_rng, rng, length)) * draw_path(rng, hall, length), length)
        happening += event / _rms(event[kept]) * decibels(rng.normal(0.0, FAMILY_STD_DB))
    # another moment of the same scene: half a clip away
    swell = np.roll(ambience, length // 2) * decibels(signals.slow_curve(rng, length, SWELL_STD_DB, 0.3))
    happening = happening / _rms(happening[kept]) + swell / _rms(swell[kept]) * decibels(SWELL_DB)
    return ambience / _rms(ambience[kept]) + happening / _rms(happening[kept]) * decibels(rng.normal(*EVENT_DB))


def _rms(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def _level(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the clip as recorded, int16 [samples]: its peaks limited, its level that of the ambience and events."""
    return signals.to_int16(signals.limit_peaks(sound, CREST) * _rms(sound) * decibels(rng.normal(*AMBIENCE_DBFS)))
