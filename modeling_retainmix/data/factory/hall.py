"""The ambience of a factory's hall (version 4): a base that is always heard, and sources that come and go.

Every clip hears some of the sources, at levels, colors and pitches of its own; over many clips the mean is the hall's.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft

from modeling_retainmix.data.factory import rooms, signals
from modeling_retainmix.data.factory.catalogue import NoiseFactory
from modeling_retainmix.data.factory.signals import SAMPLING_RATE, decibels

COLOR_HZ = 2.0 ** np.arange(np.log2(62.5), np.log2(8000.0) + 0.1, 0.5)  # knots of the colors
SOURCES = 8
TONES = 5  # harmonics of a source
PRESENCE = (0.25, 0.6)  # share of the clips in which a source is heard
COMES_AND_GOES = 0.4  # share of the sources heard that begin or end within the clip

# What differs from clip to clip; levels in dB, colors at each knot in dB, tilts in dB per octave.
SOURCE_DB = (-7.0, 2.0)  # mean level of a source relative to the base
SOURCE_STD_DB = 7.0
SOURCE_COLOR_STD = 0.5  # octaves by which the ends of a source's band move
PITCH_STD = 0.08  # octaves by which its tones move
COLOR_STD_DB, TILT_STD = 2.5, 1.5  # the base
PLACE_COLOR_STD_DB, PLACE_TILT_STD = 3.0, 1.8  # all that is heard at the microphone's place
EVENT_COLOR_STD_DB, EVENT_TILT_STD = 3.0, 1.5  # the way from an event to that place
REFLECTION_DB = (-10.0, 3.0)
TAIL_DB = (-3.0, 2.0)

# What changes within a clip, in dB: the base slowly, a source slowly and fast.
STEADY_DB = 1.0
UNSTEADY_DB = 2.0
FLUTTER_DB = 2.0

COURSE_STEP = 80  # samples between two values of a source's course
BAND_EDGE = 3.0  # factor beyond the ends of a band at which its noise is left out, 19 dB down


@dataclass(frozen=True)
class Hall:
    """A factory's hall, or a zone of it. Arrays have one row per source.

    Attributes:
        color_db: [knots] level of the base at `COLOR_HZ`.
        presence: share of the clips in which a source is heard.
        levels_db: mean level relative to the base.
        bands_hz: [sources, 2] band of the source's noise.
        pitch_hz: fundamental of its tones; tones_db [sources, TONES]: their levels relative to its noise.
        pulse_hz, pulse_depth: how fast and how strongly its level pulses; depth 0: steady.
        reverb_seconds: of the hall.
    """

    color_db: np.ndarray
    presence: np.ndarray
    levels_db: np.ndarray
    bands_hz: np.ndarray
    pitch_hz: np.ndarray
    tones_db: np.ndarray
    pulse_hz: np.ndarray
    pulse_depth: np.ndarray
    reverb_seconds: float


@dataclass(frozen=True)
class Scene:
    """What of a hall is heard in one clip.

    Attributes:
        color_db: [knots] of the base.
        heard: [n] sources.
        levels_db, bands_hz, pitch_hz: those of the hall for the sources heard, as they are today.
        passing: [n] bool, whether a source begins or ends within the clip.
    """

    color_db: np.ndarray
    heard: np.ndarray
    levels_db: np.ndarray
    bands_hz: np.ndarray
    pitch_hz: np.ndarray
    passing: np.ndarray


def draw_hall(factory: NoiseFactory, seed: int, zone: int | None = None) -> Hall:
    """Draw the hall of a factory, or one zone of it (other color, same sources at other levels)."""
    rng = signals.keyed_generator(seed, "hall", factory.name)
    octaves = np.log2(COLOR_HZ / 1000.0)
    color_db = rng.uniform(-5.0, -3.5) * octaves + rng.normal(0.0, 2.5, len(octaves))
    low_hz = 2 ** rng.uniform(np.log2(80), np.log2(3000), SOURCES)
    levels_db = rng.uniform(*SOURCE_DB, SOURCES)
    hall = Hall(
        color_db=color_db,
        presence=rng.uniform(*PRESENCE, SOURCES),
        levels_db=levels_db,
        bands_hz=np.stack([low_hz, np.minimum(low_hz * 2 ** rng.uniform(0.7, 2.0, SOURCES), 7000.0)], axis=1),
        pitch_hz=2 ** rng.uniform(np.log2(60), np.log2(900), SOURCES),
        tones_db=rng.uniform(-14.0, -4.0, (SOURCES, 1)) - 3.0 * np.arange(TONES) + rng.normal(0, 3, (SOURCES, TONES)),
        pulse_hz=2 ** rng.uniform(np.log2(1.0), np.log2(15.0), SOURCES),
        pulse_depth=np.where(rng.uniform(size=SOURCES) < 0.5, rng.uniform(0.3, 0.8, SOURCES), 0.0),
        reverb_seconds=rooms.draw_reverb_seconds(signals.keyed_generator(seed, "room", factory.name)),
    )
    if zone is None:
        return hall
    rng = signals.keyed_generator(seed, "hall", factory.name, zone)
    return replace(
        hall,
        color_db=color_db + rng.normal(0.0, 2.5, len(octaves)),
        levels_db=levels_db + rng.normal(0.0, 4.0, SOURCES),
    )


def draw_scene(hall: Hall, rng: np.random.Generator) -> Scene:
    """Draw what a clip hears of a hall."""
    octaves = np.log2(COLOR_HZ / 1000.0)
    color_db = hall.color_db + TILT_STD * rng.standard_normal() * octaves
    color_db = color_db + rng.normal(0.0, COLOR_STD_DB, len(octaves))
    heard = np.flatnonzero(rng.uniform(size=SOURCES) < hall.presence)
    moved = 2 ** rng.normal(0.0, SOURCE_COLOR_STD, (len(heard), 2))
    return Scene(
        color_db=color_db,
        heard=heard,
        levels_db=hall.levels_db[heard] + rng.normal(0.0, SOURCE_STD_DB, len(heard)),
        bands_hz=np.minimum(np.sort(hall.bands_hz[heard] * moved, axis=1), 7500.0),
        pitch_hz=hall.pitch_hz[heard] * 2 ** rng.normal(0.0, PITCH_STD, len(heard)),
        passing=rng.uniform(size=len(heard)) < COMES_AND_GOES,
    )


def scene_sound(hall: Hall, scene: Scene, rng: np.random.Generator, length: int) -> np.ndarray:
    """Return a stretch of a scene, of unit RMS, [length]."""
    freq = signals.frequencies(length)
    octaves = np.log2(np.maximum(freq, 31.25))
    sound = signals.shaped_noise(rng, decibels(np.interp(octaves, np.log2(COLOR_HZ), scene.color_db)), length)
    sound *= decibels(signals.slow_curve(rng, length, STEADY_DB, 0.5))
    for index, source in enumerate(scene.heard):
        low, high = scene.bands_hz[index]
        spectrum = _noise_and_tones(rng, length, (low, high), scene.pitch_hz[index], hall.tones_db[source])
        pulse = (float(hall.pulse_hz[source]), float(hall.pulse_depth[source]))
        course = _course(rng, length, bool(scene.passing[index]), pulse)
        sound += fft.irfft(spectrum, length) * (course * decibels(scene.levels_db[index]))
    return signals.unit_rms(sound)


def _noise_and_tones(
    rng: np.random.Generator,
    length: int,
    band_hz: tuple[float, float],
    pitch_hz: float,
    tones_db: np.ndarray,
) -> np.ndarray:
    """Return the spectrum of a source: noise of unit RMS in a band, and tones on the nearest bins, complex [bins]."""
    freq = signals.frequencies(length)
    spectrum = np.zeros(len(freq), dtype=np.complex128)
    audible = slice(*np.searchsorted(freq, (band_hz[0] / BAND_EDGE, band_hz[1] * BAND_EDGE)))
    response = signals.band(freq[audible], *band_hz)
    bins = rng.standard_normal((2, len(response))) * response
    noise = bins[0] + 1j * bins[1]
    spectrum[audible] = noise * (length / np.sqrt(2.0 * np.sum(np.square(np.abs(noise)))))
    tone_bins = np.rint(pitch_hz * np.arange(1, TONES + 1) / freq[1]).astype(np.int64)
    phases = rng.uniform(0.0, 2 * np.pi, TONES)
    spectrum[tone_bins] += np.sqrt(2.0) * decibels(tones_db) * np.exp(1j * phases) * length / 2
    return spectrum


def _course(rng: np.random.Generator, length: int, passing: bool, pulse: tuple[float, float]) -> np.ndarray:
    """Return the course of a source's amplitude, [length], made at a low rate and interpolated."""
    knots = np.arange(0, length + COURSE_STEP, COURSE_STEP)
    seconds = knots / SAMPLING_RATE
    course = decibels(_slow(rng, seconds, UNSTEADY_DB, 0.4) + _slow(rng, seconds, FLUTTER_DB, 0.03))
    if passing:
        course = course / (1.0 + np.exp(-4.0 * _slow(rng, seconds, 1.0, 0.8)))
    rate_hz, depth = pulse
    course = course * (1.0 + depth * np.cos(2 * np.pi * (rate_hz * seconds + rng.uniform())))
    return np.interp(np.arange(length), knots, course)


def _slow(rng: np.random.Generator, seconds: np.ndarray, std: float, knot_seconds: float) -> np.ndarray:
    """Return a random curve at some moments [n], linear between knots; as `signals.slow_curve` is at every sample."""
    positions = seconds / knot_seconds + rng.uniform()
    values = rng.normal(0.0, std, int(np.ceil(positions[-1])) + 1)
    return np.interp(positions, np.arange(len(values)), values)


def draw_place(rng: np.random.Generator, length: int) -> np.ndarray:
    """Draw the microphone's place in the hall: amplitude response [length // 2 + 1] of all that is heard there."""
    return _color(rng, length, PLACE_COLOR_STD_DB, PLACE_TILT_STD)


def draw_path(rng: np.random.Generator, hall: Hall, length: int) -> np.ndarray:
    """Draw the way from where something happens in the hall to the microphone: complex response [length // 2 + 1]."""
    reflections_db = rng.normal(*REFLECTION_DB, rooms.REFLECTIONS)
    room = rooms.room_response(rng, length, hall.reverb_seconds, reflections_db, rng.normal(*TAIL_DB))
    return room * _color(rng, length, EVENT_COLOR_STD_DB, EVENT_TILT_STD)


def _color(rng: np.random.Generator, length: int, std_db: float, tilt_std: float) -> np.ndarray:
    octaves = np.log2(np.maximum(signals.frequencies(length), 31.25))
    color_db = rng.normal(0.0, std_db, len(COLOR_HZ)) + tilt_std * rng.standard_normal() * np.log2(COLOR_HZ / 1000.0)
    return decibels(np.interp(octaves, np.log2(COLOR_HZ), color_db))
