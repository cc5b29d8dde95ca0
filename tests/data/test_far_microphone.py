"""The simulated far microphone against a plain loop over samples."""

import math

import numpy as np
import pytest
import torch

from modeling_retainmix.data.far_microphone import MAX_DELAY, NUM_TAPS, far_channel, room_responses
from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.keyed_random import Stream, keyed_uniform

POSITIONS = np.array([4, 0, 1071])


@pytest.fixture(scope="module")
def sounds():
    generator = np.random.default_rng(0)
    return generator.normal(0, 0.1, (3, 700)), np.cumsum(generator.normal(0, 0.1, (3, 700)), axis=1)


def naive_room(waveform, position, seed, stream):
    draws = [float(draw) for draw in keyed_uniform(seed, np.array(position), stream, width=17)]
    delay, decay = 1 + int(160 * draws[0]), 0.3 + 0.5 * draws[1]
    taps = [1.0] + [draws[1 + k] * decay**k for k in range(1, 16)]
    heard = np.zeros(len(waveform))
    for n in range(len(waveform)):
        for k, tap in enumerate(taps):
            if n - delay - k >= 0:
                heard[n] += tap * waveform[n - delay - k]
    return heard * np.sqrt(np.mean(waveform**2) / np.mean(heard**2))


def test_far_channel_equals_the_plain_loop(sounds):
    machine, noise = sounds
    heard = far_channel(torch.from_numpy(machine), torch.from_numpy(noise), POSITIONS, seed=3)
    for row, position in enumerate(POSITIONS):
        expected = naive_room(noise[row], position, 3, Stream.FAR_NOISE)
        expected += 10 ** (-10 / 20) * naive_room(machine[row], position, 3, Stream.FAR_MACHINE)
        np.testing.assert_allclose(heard[row].numpy(), expected, atol=1e-10)


def test_power_of_the_noise_stays_and_that_of_the_machine_falls_by_the_leak(sounds):
    machine, noise = map(torch.from_numpy, sounds)
    silence = torch.zeros_like(machine)

    def power(waveform):
        return waveform.square().mean(dim=1)

    torch.testing.assert_close(power(far_channel(silence, noise, POSITIONS)), power(noise))
    torch.testing.assert_close(power(far_channel(machine, silence, POSITIONS, leak_db=-20)), power(machine) / 100)


def test_draws_of_a_clip_do_not_depend_on_its_batch(sounds):
    machine, noise = (torch.from_numpy(sound).float() for sound in sounds)
    whole = far_channel(machine, noise, POSITIONS)
    alone = far_channel(machine[1:2], noise[1:2], POSITIONS[1:2])
    torch.testing.assert_close(whole[1:2], alone)
    assert whole.dtype == torch.float32


def test_when_a_clip_ends_before_the_delay_then_the_far_microphone_is_silent(sounds):
    noise = torch.from_numpy(sounds[1])[:, :1]
    assert far_channel(torch.zeros_like(noise), noise, POSITIONS).tolist() == [[0.0]] * 3


def test_delays_reach_from_one_sample_to_ten_milliseconds_and_filters_are_low_passes():
    delay, taps = room_responses(np.arange(20_000), 0, Stream.FAR_NOISE)
    assert (delay.min(), delay.max()) == (1, MAX_DELAY)
    assert taps.shape == (20_000, NUM_TAPS)
    gain = np.abs(np.fft.rfft(taps[:500], 512)) ** 2
    assert (gain[:, :128].mean(axis=1) > gain[:, 128:].mean(axis=1)).mean() > 0.9
    assert np.std(gain[:, 0] / gain[:, -1]) > 1  # and differ from clip to clip


@pytest.mark.parametrize("far_only_db", [-6.0, 3.0])
def test_second_source_is_added_at_its_level_to_what_was_heard_without_it(sounds, far_only_db):
    machine, noise = map(torch.from_numpy, sounds)
    other = torch.from_numpy(np.random.default_rng(5).normal(0, 7, (3, 700)))
    without = far_channel(machine, noise, POSITIONS)
    added = far_channel(machine, noise, POSITIONS, far_only=other, far_only_db=far_only_db) - without
    for row in range(3):
        level = 10 ** (far_only_db / 20) * np.sqrt(np.mean(sounds[1][row] ** 2) / np.mean(other[row].numpy() ** 2))
        np.testing.assert_allclose(added[row].numpy(), level * other[row].numpy(), atol=1e-12)
    silent = far_channel(machine, noise, POSITIONS, far_only=other, far_only_db=-math.inf)
    torch.testing.assert_close(silent, without)


def test_second_source_bounds_what_a_filter_of_the_far_channel_explains():
    generator = np.random.default_rng(6)
    noise, other = (torch.from_numpy(generator.normal(0, 0.1, (1, 160_000))) for _ in range(2))
    position = np.array([7])
    residuals = {}
    for far_only_db in (-math.inf, -6.0, 0.0):
        far = far_channel(torch.zeros_like(noise), noise, position, far_only=other, far_only_db=far_only_db)
        left = cancel_far(noise[0].numpy().astype(np.float32), far[0].numpy().astype(np.float32))
        residuals[far_only_db] = 10 * math.log10(np.mean(left**2) / float(noise.square().mean()))
    assert residuals[-math.inf] < residuals[-6.0] < residuals[0.0] < 0
    assert residuals[-6.0] > -10 * math.log10(1 + 10**0.6)
    assert residuals[0.0] > -10 * math.log10(2)
