"""Noise of factories: an ambience of colored noise and tones, and events that happen in it.

Stationary and non-stationary noise of one factory share the ambience; the events, and the swelling of the ambience
that comes with them, make the difference.
"""

import numpy as np

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.ambience import ambience_sound, draw_ambience
from modeling_retainmix.data.factory.catalogue import NoiseFactory
from modeling_retainmix.data.factory.events import EVENTS
from modeling_retainmix.data.factory.signals import MARGIN, decibels

EVENT_DB = (5.0, 2.0)  # level of events and swell over the ambience: mean, standard deviation from clip to clip
AMBIENCE_DBFS = (-32.0, 1.0)  # level of the ambience: mean and standard deviation from clip to clip
SWELL_DB = -3.0  # level of the swelling ambience relative to the events proper
SWELL_STD_DB = 6.0  # how strongly it swells
CREST = 7.0  # peaks are clipped at this multiple of the RMS
ZONES = 2  # places in a training factory, each with an ambience of its own color


def noise_clip(
    factory: NoiseFactory, seed: int, rng: np.random.Generator, zone: int | None, events: list[str], num_samples: int
) -> np.ndarray:
    """One segment of factory noise.

    Args:
        factory: where it is recorded.
        seed: of the factory.
        rng: of the clip.
        zone: of a training factory; None: the one place of a validation or evaluation factory.
        events: families that happen in the clip; none: stationary noise.
        num_samples: length of the clip.

    Returns:
        int16 [num_samples].
    """
    length = signals.padded_length(num_samples)
    kept = slice(MARGIN, MARGIN + num_samples)
    ambience = draw_ambience(factory, seed, zone)
    sound = signals.unit_rms(ambience_sound(ambience, rng, length)[kept])
    if events:
        happening = np.zeros(num_samples)
        for family in events:
            parameters = signals.keyed_generator(seed, "event", factory.name, family)
            happening += signals.unit_rms(EVENTS[family](parameters, rng, length)[kept])
        # work makes the whole hall louder: part of it is heard as a swelling of the ambience
        swell = ambience_sound(ambience, rng, length) * decibels(signals.slow_curve(rng, length, SWELL_STD_DB, 0.3))
        happening = signals.unit_rms(happening) + signals.unit_rms(swell[kept]) * decibels(SWELL_DB)
        sound = sound + signals.unit_rms(happening) * decibels(rng.normal(*EVENT_DB))
    rms = np.sqrt(np.mean(np.square(sound)))
    return signals.to_int16(signals.limit_peaks(sound, CREST) * rms * decibels(rng.normal(*AMBIENCE_DBFS)))
