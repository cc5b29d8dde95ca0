"""Responses of rooms."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import rooms

LENGTH = 32000


def _impulse(reflections_db, tail_db, reverb_seconds=0.5):
    response = rooms.room_response(np.random.default_rng(0), LENGTH, reverb_seconds, reflections_db, tail_db)
    return np.fft.irfft(response, LENGTH)


def test_a_room_without_reflections_and_tail_passes_the_sound_alone():
    impulse = _impulse(np.full(rooms.REFLECTIONS, -300.0), -300.0)
    np.testing.assert_allclose(impulse[0], 1.0)
    np.testing.assert_allclose(impulse[1:], 0.0, atol=1e-12)


def test_reflections_come_within_their_time_at_their_levels():
    impulse = _impulse(np.full(rooms.REFLECTIONS, -12.0), -300.0)
    at = np.flatnonzero(np.abs(impulse) > 1e-6)[1:]
    assert len(at) == rooms.REFLECTIONS
    assert (at >= 16).all()
    assert (at <= 320).all()
    np.testing.assert_allclose(20 * np.log10(np.abs(impulse[at])), -12.0)


def test_the_tail_has_its_energy_and_loses_60_decibels_in_the_reverberation_time():
    tail = _impulse(np.full(rooms.REFLECTIONS, -300.0), -6.0)[320:]
    assert 10 * np.log10(np.sum(tail**2)) == pytest.approx(-6.0, abs=1e-6)
    early, late = (10 * np.log10(np.mean(tail[start : start + 800] ** 2)) for start in (0, 4000))
    assert early - late == pytest.approx(60.0 * 0.25 / 0.5, abs=1.5)


def test_reverberation_times_are_those_of_halls():
    times = [rooms.draw_reverb_seconds(np.random.default_rng(seed)) for seed in range(50)]
    assert 0.3 <= min(times) < max(times) <= 0.8
