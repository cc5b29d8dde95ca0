"""Building blocks against naive twins."""

import numpy as np
import pytest

from modeling_retainmix.data.factory import signals


def test_keyed_generators_agree_for_equal_keys_and_differ_otherwise():
    draw = signals.keyed_generator(0, "clip", "fan", 3).standard_normal(4)
    np.testing.assert_array_equal(draw, signals.keyed_generator(0, "clip", "fan", 3).standard_normal(4))
    for seed, key in ((1, ("clip", "fan", 3)), (0, ("clip", "fan", 4)), (0, ("noise", "fan", 3))):
        assert not np.array_equal(draw, signals.keyed_generator(seed, *key).standard_normal(4))


def test_padded_length_holds_clip_and_margins():
    assert signals.padded_length(64000) >= 64000 + 2 * signals.MARGIN


def test_unit_rms_scales_and_leaves_silence_alone():
    scaled = signals.unit_rms(np.array([[3.0, -3.0], [0.0, 0.0]]))
    np.testing.assert_allclose(scaled, [[1.0, -1.0], [0.0, 0.0]])


def test_slow_curve_has_its_standard_deviation_and_moves_slowly():
    curve = signals.slow_curve(np.random.default_rng(0), 16000 * 400, 2.0, 0.25)
    # between knots of variance 4 a line has the mean variance 4 * 2 / 3
    assert curve.std() == pytest.approx(2.0 * np.sqrt(2 / 3), rel=0.1)
    assert np.abs(np.diff(curve)).max() < 2.0 * 10 / (0.25 * 16000)


def test_tilt_rises_by_its_slope_per_octave_and_is_one_at_the_pivot():
    response = signals.tilt(np.array([500.0, 1000.0, 2000.0]), 3.0)
    np.testing.assert_allclose(20 * np.log10(response), [-3.0, 0.0, 3.0])


def test_bumps_add_in_decibels():
    response = signals.bumps(
        np.array([1000.0]), np.array([1000.0, 1000.0]), np.array([6.0, 4.0]), np.array([0.1, 0.2])
    )
    np.testing.assert_allclose(20 * np.log10(response), [10.0])


def test_band_is_three_decibels_down_at_both_ends():
    response = signals.band(np.array([100.0, 1000.0, 10000.0]), 100.0, 10000.0)
    np.testing.assert_allclose(20 * np.log10(response), [-3.01, 0.0, -3.01], atol=0.02)


def test_shaped_noise_has_unit_rms_and_the_power_of_its_response():
    freq = signals.frequencies(1 << 16)
    noise = signals.shaped_noise(np.random.default_rng(0), (freq < 4000).astype(float), 1 << 16)
    power = np.abs(np.fft.rfft(noise)) ** 2
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(1.0)
    assert power[freq >= 4000].sum() < 1e-12 * power.sum()
    assert power[freq < 2000].sum() / power.sum() == pytest.approx(0.5, abs=0.02)


def test_damped_modes_are_the_transform_of_decaying_sines():
    length, center, decay = 1 << 15, 700.0, 0.01
    seconds = np.arange(length) / signals.SAMPLING_RATE
    naive = np.exp(-seconds / decay) * np.sin(2 * np.pi * center * seconds)
    expected = np.fft.rfft(naive) / signals.SAMPLING_RATE / decay
    freq = signals.frequencies(length)
    low = freq < 1500  # the continuous resonator has no aliases
    modes = signals.damped_modes(freq, np.array([center]), np.array([decay]))
    assert np.abs(modes[low] - expected[low]).max() < 0.02 * np.abs(expected).max()


def test_ring_is_the_convolution_of_impulses_with_the_modes():
    length = 4096
    impulse_response = np.exp(-np.arange(length) / 20.0)
    rung = signals.ring(np.array([100, 900]), np.array([1.0, 0.5]), np.fft.rfft(impulse_response), length)
    naive = np.zeros(length)
    naive[100:] += impulse_response[:-100]
    naive[900:] += 0.5 * impulse_response[:-900]
    np.testing.assert_allclose(rung, naive / np.sqrt(np.mean(naive**2)), atol=1e-9)


def test_ring_of_no_impulse_is_silent():
    assert not signals.ring(np.array([], dtype=np.int64), np.array([]), np.ones(33), 64).any()


def test_crossings_are_where_a_whole_number_is_passed():
    assert signals.crossings(np.array([0.2, 0.9, 1.1, 1.6, 2.0, 2.4])).tolist() == [1, 3]


def test_peaks_are_limited_to_the_crest_factor_and_the_level_is_one():
    impulsive = np.random.default_rng(0).standard_normal(16000) ** 5
    limited = signals.limit_peaks(impulsive, 3.0)
    assert np.abs(impulsive).max() / impulsive.std() > 20
    assert np.sqrt(np.mean(limited**2)) == pytest.approx(1.0)
    assert np.abs(limited).max() < 4.0


def test_int16_rounds_to_nearest_and_clips():
    assert signals.to_int16(np.array([0.5 / 32768, 0.6 / 32768, 2.0, -2.0])).tolist() == [0, 1, 32767, -32768]
