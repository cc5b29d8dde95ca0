"""Halls of version 4: sources come and go and change from clip to clip, around a mean that stays."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import hall as halls
from modeling_retainmix.data.factory.catalogue import NOISE_FACTORIES
from modeling_retainmix.data.factory.hall import draw_hall, draw_path, draw_place, draw_scene, scene_sound

FOUNDRY = NOISE_FACTORIES["train"][0]
HALL = draw_hall(FOUNDRY, 0)


def _scenes(count=400):
    return [draw_scene(HALL, np.random.default_rng(seed)) for seed in range(count)]


def test_every_source_is_heard_in_its_share_of_the_clips():
    counts = np.zeros(halls.SOURCES)
    for scene in _scenes():
        counts[scene.heard] += 1
    np.testing.assert_allclose(counts / 400, HALL.presence, atol=0.1)


def test_levels_and_pitches_vary_around_those_of_the_hall():
    heard = [scene for scene in _scenes() if 0 in scene.heard]
    levels = np.array([scene.levels_db[0] for scene in heard])  # the first that is heard is source 0
    octaves = np.log2([scene.pitch_hz[0] / HALL.pitch_hz[0] for scene in heard])
    assert levels.mean() == pytest.approx(HALL.levels_db[0], abs=2.5)
    assert levels.std() == pytest.approx(halls.SOURCE_STD_DB, rel=0.25)
    assert octaves.std() == pytest.approx(halls.PITCH_STD, rel=0.25)


def test_the_color_of_the_base_varies_around_that_of_the_hall():
    colors = np.stack([scene.color_db for scene in _scenes()])
    np.testing.assert_allclose(colors.mean(axis=0), HALL.color_db, atol=1.2)
    assert colors.std(axis=0).min() > 0.8 * halls.COLOR_STD_DB


def test_zones_have_other_levels_of_the_same_sources():
    first, second = (draw_hall(FOUNDRY, 0, zone) for zone in (0, 1))
    np.testing.assert_array_equal(first.pitch_hz, second.pitch_hz)
    assert np.abs(first.levels_db - second.levels_db).mean() > 1.0
    assert np.abs(first.color_db - second.color_db).mean() > 0.5


@pytest.mark.parametrize("length", [20000, 20001])
def test_a_scene_sounds_at_unit_level_with_any_number_of_sources(length):
    for seed in range(12):
        scene = draw_scene(HALL, np.random.default_rng(seed))
        sound = scene_sound(HALL, scene, np.random.default_rng(seed), length)
        assert sound.shape == (length,)
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(1.0)


def test_a_source_is_noise_of_unit_level_in_its_band_and_tones_at_its_pitch():
    length = 1 << 15
    quiet, loud = (
        halls._noise_and_tones(np.random.default_rng(0), length, (500.0, 1000.0), 1200.0, np.full(halls.TONES, level))
        for level in (-300.0, -10.0)
    )
    assert np.sqrt(np.mean(np.fft.irfft(quiet, length) ** 2)) == pytest.approx(1.0)
    freq = np.fft.rfftfreq(length, 1 / 16000)
    power = np.abs(quiet) ** 2
    assert power[(freq > 350) & (freq < 1400)].sum() > 0.75 * power.sum()
    tones = np.fft.irfft(loud - quiet, length)
    assert np.mean(tones**2) == pytest.approx(halls.TONES * 0.1, rel=1e-6)


def test_a_pulsing_source_beats_at_its_rate():
    rng = np.random.default_rng(0)
    course = halls._course(rng, 160000, False, (4.0, 0.8))
    spectrum = np.abs(np.fft.rfft(course - course.mean()))
    assert np.argmax(spectrum) == 40  # cycles in ten seconds


def test_places_color_all_that_is_heard_and_paths_reverberate():
    places = 20 * np.log10([draw_place(np.random.default_rng(seed), 4096) for seed in range(100)])
    assert places.std(axis=0)[30:].mean() > halls.PLACE_COLOR_STD_DB * 0.8
    impulse = np.fft.irfft(draw_path(np.random.default_rng(0), HALL, 32000), 32000)
    assert np.abs(impulse[320:]).max() > 0
