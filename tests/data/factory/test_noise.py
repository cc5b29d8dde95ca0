"""Factory noise: both kinds share their ambience, events stand out of it, families differ."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import noise, signals
from modeling_retainmix.data.factory.catalogue import NOISE_FACTORIES

SAMPLES = 32000
PRINTING_WORKS = NOISE_FACTORIES["validation"][1]


def _clip(index, events=(), factory=PRINTING_WORKS, zone=None, version=3):
    rng = signals.keyed_generator(0, "test", index)
    return noise.noise_clip(factory, 0, rng, zone, list(events), SAMPLES, version).astype(float) / 32768


def _color_db(clips):
    """Color of what is heard in the quieter moments: levels in octave bands relative to their mean."""
    frames = np.concatenate([clip.reshape(-1, 800) for clip in clips])
    power = np.abs(np.fft.rfft(frames * np.hanning(800))) ** 2
    bands = np.add.reduceat(power, [5, 10, 20, 40, 80, 160], axis=1)
    level = 10 * np.log10(np.quantile(bands, 0.2, axis=0))
    return level - level.mean()


def test_both_kinds_of_a_factory_share_the_ambience():
    stationary = _color_db([_clip(index) for index in range(6)])
    with_bursts = _color_db([_clip(index, ["bursts"]) for index in range(6, 12)])
    elsewhere = _color_db([_clip(index, factory=NOISE_FACTORIES["validation"][2]) for index in range(6)])
    assert np.abs(stationary - with_bursts).mean() < 1.5
    assert np.abs(stationary - elsewhere).mean() > np.abs(stationary - with_bursts).mean()


def test_events_are_louder_than_the_ambience_by_about_five_decibels():
    def mean_level(clips):
        return 10 * np.log10(np.mean([np.mean(clip**2) for clip in clips]))

    difference = mean_level([_clip(i, ["babble"]) for i in range(16)]) - mean_level([_clip(i) for i in range(16)])
    assert difference == pytest.approx(10 * np.log10(1 + 10**0.5), abs=1.5)


def test_stationary_noise_is_steadier_than_noise_with_events():
    def unsteadiness(clip):
        return np.std(10 * np.log10(np.mean(clip.reshape(-1, 800) ** 2, axis=1)))

    assert max(unsteadiness(_clip(i)) for i in range(6)) < min(unsteadiness(_clip(i, ["bursts"])) for i in range(6))


def test_peaks_stay_within_full_scale():
    for index in range(8):
        assert np.abs(_clip(index, ["impacts", "hammering"], NOISE_FACTORIES["validation"][2])).max() < 0.99


def test_in_version_4_the_quiet_moments_of_both_kinds_are_of_the_same_ambience():
    length = signals.padded_length(SAMPLES)

    def ambience(index, events, factory=PRINTING_WORKS):
        rng = signals.keyed_generator(0, "test", index)
        return noise._hall_noise(factory, 0, rng, None, events, length)[signals.MARGIN : signals.MARGIN + SAMPLES]

    def difference(index, **other):
        return np.abs(_color_db([ambience(index, [])]) - _color_db([ambience(index, **other)])).mean()

    with_bursts = np.median([difference(index, events=["bursts"]) for index in range(12)])
    elsewhere = [difference(index, events=[], factory=NOISE_FACTORIES["validation"][2]) for index in range(12)]
    assert with_bursts < 0.75 * np.median(elsewhere)


def test_colors_of_version_4_differ_from_clip_to_clip():
    new, old = (np.stack([_color_db([_clip(i, version=version)]) for i in range(20)]) for version in (4, 3))
    assert new.std(axis=0).mean() > 2.5
    assert old.std(axis=0).mean() < 1.0


def test_peaks_of_version_4_stay_within_full_scale():
    for index in range(8):
        events = ["impacts", "hammering"]
        assert np.abs(_clip(index, events, NOISE_FACTORIES["validation"][2], version=4)).max() < 0.99
