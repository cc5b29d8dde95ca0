"""Sounds unlike any machine: level and peaks as drawn, members of a family apart, clips of one sound alike."""

from itertools import pairwise

import numpy as np
import pytest

from modeling_retainmix.data.factory import foreign, signals
from modeling_retainmix.data.factory.foreign import FAMILIES, foreign_clip

SAMPLES = 32000


def clip(family, sound, take, path=None):
    draws = (signals.keyed_generator(0, name, number) for name, number in (("sound", sound), ("take", take)))
    return foreign_clip(family, *draws, SAMPLES, path)


def spectrum_db(samples):
    """Level of each half octave from 62.5 Hz on."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    edges = 62.5 * 2 ** (np.arange(15) / 2)
    bins = np.searchsorted(np.fft.rfftfreq(len(samples), 1 / 16000), edges)
    return np.array([10 * np.log10(power[low:high].mean()) for low, high in pairwise(bins)])


@pytest.mark.parametrize("family", FAMILIES)
def test_clips_are_at_the_level_of_machines_and_their_peaks_are_limited(family):
    clips = np.array([clip(family, sound, sound) for sound in range(12)]).astype(float)
    rms = np.sqrt(np.mean(clips**2, axis=1)) / 32768
    mean, std = foreign.LEVEL_DBFS
    assert abs(np.mean(20 * np.log10(rms)) - mean) < 3 * std / np.sqrt(12)
    assert (np.abs(clips).max(axis=1) / 32768 / rms < foreign.CREST * 1.1).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_clips_of_one_sound_are_nearer_to_one_another_than_sounds_of_a_family(family):
    spectra = np.array([[spectrum_db(clip(family, sound, take)) for take in range(3)] for sound in range(4)])
    spectra -= spectra.mean(axis=2, keepdims=True)
    within = np.square(spectra - spectra.mean(axis=1, keepdims=True)).mean()
    between = np.square(spectra.mean(axis=1) - spectra.mean(axis=(0, 1))).mean()
    assert between > 1.5 * within


def test_the_path_to_the_microphone_colors_the_sound():
    freq = signals.frequencies(signals.padded_length(SAMPLES))
    bright = spectrum_db(clip("textures", 1, 0, signals.tilt(freq, 6.0))) - spectrum_db(clip("textures", 1, 0))
    assert bright[-2] - bright[2] > 20
