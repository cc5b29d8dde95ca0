"""Families of events that happen in a factory: impacts, voices, bursts, horns, hammers, alarms, trolleys, drills."""

from collections.abc import Callable

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory import signals
from modeling_retainmix.data.factory.signals import MARGIN, SAMPLING_RATE, decibels

Event = Callable[[np.random.Generator, np.random.Generator, int], np.ndarray]


def _moments(rng: np.random.Generator, length: int, count: int) -> np.ndarray:
    """Draw random sample positions at which something begins that the clip without its margins can hear."""
    return rng.integers(MARGIN, length - 2 * MARGIN, count)


def _bursts_envelope(
    rng: np.random.Generator, length: int, per_second: float, seconds: tuple[float, float], attack: float
) -> np.ndarray:
    """Return bumps that rise within `attack` seconds and fall exponentially, at random times, [length]."""
    count = max(1, rng.poisson(per_second * length / SAMPLING_RATE))
    starts = _moments(rng, length, count)
    levels = decibels(rng.normal(0.0, 3.0, count))
    envelope = np.zeros(length)
    for start, level, decay in zip(starts, levels, rng.uniform(*seconds, count), strict=True):
        t = np.arange(min(length - start, int(6 * decay * SAMPLING_RATE))) / SAMPLING_RATE
        envelope[start : start + len(t)] += level * (1.0 - np.exp(-t / attack)) * np.exp(-t / decay)
    return envelope


def impacts(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize metal on metal: strokes that ring for a tenth of a second."""
    centers = 2 ** site_rng.uniform(np.log2(400), np.log2(5000), 5)
    count = max(2, rng.poisson(site_rng.uniform(1.5, 4.0) * length / SAMPLING_RATE))
    modes = signals.damped_modes(
        signals.frequencies(length), centers * 2 ** rng.normal(0, 0.15, 5), rng.uniform(0.03, 0.15, 5)
    )
    return signals.ring(_moments(rng, length, count), decibels(rng.normal(0, 4, count)), modes, length)


def babble(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize voices: gliding harmonic tones with the rhythm of syllables behind formants."""
    freq = signals.frequencies(length)
    pitch = site_rng.uniform(100, 180)
    sound = np.zeros(length)
    for _ in range(3):
        f0 = pitch * 2 ** (rng.normal(0, 0.3) + signals.slow_curve(rng, length, 0.12, 0.2))
        voice = (np.cumsum(f0) / SAMPLING_RATE) % 1.0 - 0.5
        syllables = np.maximum(signals.slow_curve(rng, length, 1.0, 0.12), 0.0)
        formants = 2 ** rng.uniform(np.log2([300, 900, 2200]), np.log2([800, 1900, 3200]))
        response = signals.bumps(freq, formants, np.full(3, 18.0), np.full(3, 0.2)) * signals.band(freq, 150, 3500)
        sound += signals.unit_rms(fft.irfft(fft.rfft(voice * syllables) * response, length)) * rng.uniform(0.5, 1.0)
    return sound


def bursts(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize compressed air let off: hisses of a fifth of a second."""
    low = site_rng.uniform(800, 2200) * 2 ** rng.normal(0, 0.2)
    hiss = signals.shaped_noise(rng, signals.band(signals.frequencies(length), low, 4 * low), length)
    return hiss * _bursts_envelope(rng, length, site_rng.uniform(0.8, 2.0), (0.1, 0.4), 0.02)


def horns(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a horn: a steady chord of harmonics that sounds for half a second."""
    pitch = site_rng.uniform(250, 450) * 2 ** rng.normal(0, 0.08)
    seconds = np.arange(length) / SAMPLING_RATE
    chord = sum(0.75**h * np.cos(2 * np.pi * (pitch * h * seconds + rng.uniform())) for h in range(1, 10))
    return chord * _bursts_envelope(rng, length, 0.7, (0.2, 0.5), 0.05)


def hammering(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a hammer: dull strokes in a steady rhythm, with pauses."""
    interval = site_rng.uniform(0.15, 0.4) * 2 ** rng.normal(0, 0.1)
    strokes = np.arange(rng.uniform(0, interval), length / SAMPLING_RATE, interval)
    heard = signals.slow_curve(rng, len(strokes), 1.0, 4 / SAMPLING_RATE) > -0.6  # a knot every four strokes
    heard[len(heard) // 2] = True  # no clip without a stroke
    centers = 2 ** site_rng.uniform(np.log2(200), np.log2(1800), 4)
    modes = signals.damped_modes(signals.frequencies(length), centers, rng.uniform(0.015, 0.05, 4))
    samples = (strokes[heard] * SAMPLING_RATE).astype(np.int64)
    return signals.ring(samples, decibels(rng.normal(0, 2, len(samples))), modes, length)


def alarms(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a reversing vehicle: beeps at a steady rate."""
    pitch = site_rng.uniform(1000, 1800) * (1.0 + 0.01 * rng.standard_normal())
    seconds = np.arange(length) / SAMPLING_RATE
    beep = np.cos(2 * np.pi * pitch * seconds) + 0.3 * np.cos(6 * np.pi * pitch * seconds)
    position = (seconds * site_rng.uniform(1.0, 2.0) + rng.uniform()) % 1.0
    return beep * np.clip(np.minimum(position, 0.5 - position) * 50, 0.0, 1.0)


def trolley(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a trolley on a rough floor: dense knocks that come nearer and go."""
    count = int(site_rng.uniform(30, 60) * length / SAMPLING_RATE)
    positions = rng.integers(0, length, count)
    centers = 2 ** site_rng.uniform(np.log2(250), np.log2(3000), 5)
    modes = signals.damped_modes(signals.frequencies(length), centers, np.full(5, 0.012))
    nearness = decibels(12.0 * np.cos(2 * np.pi * (np.arange(length) / length * 0.7 + rng.uniform())))
    return signals.ring(positions, decibels(rng.normal(0, 4, count)), modes, length, nearness)


def drilling(site_rng: np.random.Generator, rng: np.random.Generator, length: int) -> np.ndarray:
    """Synthesize a drill: a buzz whose pitch sags under load, with scraping noise."""
    f0 = site_rng.uniform(180, 320) * 2 ** signals.slow_curve(rng, length, 0.05, 0.3)
    buzz = signals.unit_rms((np.cumsum(f0) / SAMPLING_RATE) % 1.0 - 0.5)
    scrape = signals.shaped_noise(rng, signals.band(signals.frequencies(length), 1500, 5000), length)
    return (buzz + 0.6 * scrape) * _bursts_envelope(rng, length, 0.8, (0.3, 0.6), 0.08)


EVENTS: dict[str, Event] = {
    "impacts": impacts,
    "babble": babble,
    "bursts": bursts,
    "horns": horns,
    "hammering": hammering,
    "alarms": alarms,
    "trolley": trolley,
    "drilling": drilling,
}
