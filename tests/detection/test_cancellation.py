"""The far clip subtracted from the near one: against plain loops, and where there is nothing to subtract from."""

import tracemalloc

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import cancellation
from modeling_retainmix.detection.cancellation import cancel_far

RATE = 16000


def naive_cancel(near, far):
    """Frame by frame and sample by sample: reflected ends, one gain per frequency, weighted overlap-add."""
    num_samples = len(near)
    hann = [0.5 - 0.5 * np.cos(2 * np.pi * k / 1024) for k in range(1024)]

    def frame(clip, center):
        samples = []
        for k in range(1024):
            n = center - 512 + k
            n = -n if n < 0 else n
            n = 2 * (num_samples - 1) - n if n >= num_samples else n
            samples.append(hann[k] * float(clip[n]))
        return np.fft.fft(samples)  # two-sided

    centers = list(range(0, num_samples + 512, 512))
    inside = [center for center in centers if center <= num_samples]
    cross = sum(frame(near, center) * np.conj(frame(far, center)) for center in inside)
    power = sum(np.abs(frame(far, center)) ** 2 for center in inside)
    gain = cross / (power + 1e-12)
    total, weight = np.zeros(num_samples), np.zeros(num_samples)
    for center in centers:
        heard = np.fft.ifft(gain * frame(far, center)).real
        for k in range(1024):
            n = center - 512 + k
            if 0 <= n < num_samples:
                total[n] += hann[k] * heard[k]
                weight[n] += hann[k] ** 2
    return near - total / weight


def room(noise, generator, taps=30):
    response = generator.normal(0, 1, taps) * 0.8 ** np.arange(taps)
    return np.convolve(noise, response)[: len(noise)]


@pytest.fixture(scope="module")
def sounds():
    """A machine, noise at the near microphone and at the far one: 4 s each."""
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 0.1, 4 * RATE)
    machine = 0.05 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE)
    return machine, noise, room(noise, generator)


def as_clip(waveform):
    return np.asarray(waveform, dtype=np.float32)


@pytest.mark.parametrize("num_samples", [1024, 1025, 1500, 5120, 7777])
def test_residual_equals_the_plain_loops(sounds, num_samples):
    machine, noise, far = (sound[:num_samples] for sound in sounds)
    near, far = as_clip(machine + noise), as_clip(far + 0.3 * machine)
    residual = cancel_far(near, far)
    assert residual.dtype == np.float32
    np.testing.assert_allclose(residual, naive_cancel(near, far), atol=1e-7)


def test_residual_equals_that_of_torch_where_its_frames_overlap(sounds):
    machine, noise, far = sounds
    near, far = as_clip(machine + noise)[:-300], as_clip(far)[:-300]
    window = torch.hann_window(1024, dtype=torch.float64)
    spectra = [
        torch.stft(torch.from_numpy(clip).double(), 1024, 512, window=window, return_complex=True)
        for clip in (near, far)
    ]
    gain = (spectra[0] * spectra[1].conj()).sum(1) / (spectra[1].abs().square().sum(1) + 1e-12)
    expected = torch.istft(spectra[0] - gain[:, None] * spectra[1], 1024, 512, window=window, length=len(near))
    overlapped = len(near) // 512 * 512
    np.testing.assert_allclose(cancel_far(near, far)[:overlapped], expected.numpy()[:overlapped], atol=1e-7)


def test_noise_that_both_microphones_hear_falls_and_the_machine_stays(sounds):
    machine, noise, far = sounds
    residual = cancel_far(as_clip(machine + noise), as_clip(far))
    assert np.std(residual - machine) < 0.4 * np.std(noise)
    assert residual @ machine > 0.95 * (machine @ machine)


def test_when_another_source_is_heard_by_the_far_microphone_alone_then_less_noise_falls(sounds):
    machine, noise, far = sounds
    other = np.random.default_rng(1).normal(0, np.std(far), len(far))
    heard_alone = cancel_far(as_clip(machine + noise), as_clip(far))
    heard_together = cancel_far(as_clip(machine + noise), as_clip(far + other))
    assert np.std(heard_alone - machine) < 0.7 * np.std(heard_together - machine)


def test_when_a_clip_is_longer_than_a_block_then_the_blocks_do_not_show(sounds, monkeypatch):
    machine, noise, far = sounds
    clips = as_clip(machine + noise), as_clip(far)
    whole = cancel_far(*clips)
    monkeypatch.setattr(cancellation, "_BLOCK", 7)
    np.testing.assert_allclose(cancel_far(*clips), whole, atol=1e-8)


def test_memory_beside_the_waveforms_does_not_grow_with_the_clip(sounds):
    peaks = []
    for seconds in (60, 240):
        near, far = np.random.default_rng(2).normal(0, 0.1, (2, seconds * RATE)).astype(np.float32)
        tracemalloc.start()
        residual = cancel_far(near, far)
        peaks.append(tracemalloc.get_traced_memory()[1] - residual.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 40 * 2**20


@pytest.mark.parametrize("level", [1e-6, 2.0**30])
def test_level_of_the_clips_does_not_matter(sounds, level):
    near, far = as_clip(sounds[0] + sounds[1]), as_clip(sounds[2])
    scaled = cancel_far(as_clip(level * near), as_clip(level * far))
    np.testing.assert_allclose(scaled / level, cancel_far(near, far), atol=1e-6)


@pytest.mark.parametrize("gain", [1.0, -0.25])
def test_when_both_channels_hold_the_same_sound_then_error_names_the_clip(sounds, gain):
    near = as_clip(sounds[1])
    with pytest.raises(ValueError, match=r"fan\.wav without its far clip is empty .* both hold the same sound; check"):
        cancel_far(near, as_clip(gain * near), "fan.wav")


def test_when_little_is_left_then_only_60_db_and_more_are_an_error(sounds):
    near = as_clip(sounds[1])
    other = np.random.default_rng(3).normal(0, 0.1, len(near))
    for below_db, is_error in ((55, False), (65, True)):
        far = as_clip(near + 10 ** (-below_db / 20) * other)
        if is_error:
            with pytest.raises(ValueError, match=f"what is left is {below_db} dB under it"):
                cancel_far(near, far)
        else:
            left = np.mean(np.square(cancel_far(near, far), dtype=np.float64)) / np.mean(np.square(near))
            assert 10 * np.log10(left) == pytest.approx(-below_db, abs=0.5)


def test_when_the_far_clip_is_silent_then_the_near_one_stays(sounds):
    near = as_clip(sounds[1])
    residual = cancel_far(near, np.zeros_like(near))
    np.testing.assert_array_equal(residual, near)
    assert residual is not near
    np.testing.assert_array_equal(cancel_far(np.zeros_like(near), np.zeros_like(near)), np.zeros_like(near))


@pytest.mark.parametrize(
    ("near", "far", "message"),
    [
        (np.ones(1023), np.ones(1023), r"fan\.wav has 1023 samples, fewer than the 1024 of a frame"),
        (np.ones(2000), np.ones(1999), r"fan\.wav has the shape \[2000\], its far clip \[1999\]"),
        (np.ones((2000, 2)), np.ones((2000, 2)), r"fan\.wav has the shape \[2000, 2\]"),
        (np.full(2000, np.nan), np.ones(2000), r"^fan\.wav holds NaN or infinite samples"),
        (np.ones(2000), np.append(np.ones(1999), np.inf), r"the far clip of fan\.wav holds NaN or infinite samples"),
        (np.ones(2000), np.append(np.ones(1999), np.nan), r"the far clip of fan\.wav holds NaN or infinite samples"),
    ],
)
def test_when_clips_do_not_do_then_error_names_them(near, far, message):
    with pytest.raises(ValueError, match=message):
        cancel_far(as_clip(near), as_clip(far), "fan.wav")
