"""Recordings as waveforms, and what is refused."""

import numpy as np
import pytest
import soundfile

from modeling_retainmix.audio import read_audio
from retainmix_score.audio import load_clips

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (4410, 2)).astype(np.float32)


def load(*arguments, **options):
    return [waveform for _, waveform in load_clips(*arguments, **options)]


@pytest.mark.parametrize("channel", [0, 1, "mean"])
def test_when_a_file_is_read_then_the_detector_reads_the_same(tmp_path, channel):
    path = tmp_path / "two.flac"
    soundfile.write(path, NOISE, 44_100)
    ((name, waveform),) = load_clips(path, 16_000, channel=channel)
    assert name == str(path)
    np.testing.assert_allclose(waveform, read_audio(path, channel=channel), atol=1e-6)


def test_when_clips_are_arrays_then_floats_and_integers_mean_the_same():
    integers = np.round(NOISE[:, 0] * 2**15).astype(np.int16)
    first, second = load([integers, integers / 2**15], 16_000, sampling_rate=16_000)
    np.testing.assert_array_equal(first, second)
    rows = load(NOISE.T, 16_000, sampling_rate=16_000)
    np.testing.assert_array_equal(rows, NOISE.T)


@pytest.mark.parametrize(
    ("clip", "options", "message"),
    [
        (NOISE[:, 0], {}, "clip 0 is an array, which does not say its sampling rate"),
        (NOISE[:, 0], {"sampling_rate": 10}, "clip 0 has a sampling rate of 10 Hz"),
        ([NOISE], {"sampling_rate": 16_000}, r"clip 0 has shape \[4410, 2\]"),
        ([NOISE[:, 0], np.zeros(9)], {"sampling_rate": 16_000}, "clip 1 is silent"),
        (np.zeros(0), {"sampling_rate": 16_000}, "clip 0 is empty"),
        (np.array([0.1, np.nan]), {"sampling_rate": 16_000}, "clip 0 holds NaN"),
        ("missing.wav", {}, "missing.wav does not exist: check the path"),
    ],
)
def test_when_a_clip_cannot_be_used_then_the_error_names_it(clip, options, message):
    with pytest.raises(ValueError, match=message):
        load(clip, 16_000, **options)


@pytest.mark.parametrize("channel", [None, 2, -1, "left"])
def test_when_the_channel_is_not_given_or_not_there_then_the_error_says_how_many_there_are(tmp_path, channel):
    soundfile.write(tmp_path / "two.wav", NOISE, 16_000)
    with pytest.raises(ValueError, match=r"two\.wav has 2 channels"):
        load(tmp_path / "two.wav", 16_000, channel=channel)
