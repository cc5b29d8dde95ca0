"""Resampling: torchaudio's values for common rates, soxr beyond, and a cost that the rate does not decide."""

import numpy as np
import pytest
import torch
import torchaudio

from modeling_retainmix import resampling
from modeling_retainmix.resampling import check_rate, resample


def tone(rate, seconds=1.0, frequency=300.0):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 51200, 96000])
def test_when_rates_are_common_then_values_are_those_of_torchaudio(rate):
    waveform = np.random.default_rng(rate).standard_normal(rate // 3).astype(np.float32)
    expected = torchaudio.functional.resample(torch.from_numpy(waveform), rate, 16000).numpy()
    resampled = resample(waveform, rate, 16000)
    assert resampled.dtype == np.float32 and resampled.shape == expected.shape
    np.testing.assert_allclose(resampled, expected, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11025, 44100])
def test_when_a_recording_is_long_then_its_pieces_join(monkeypatch, rate):
    waveform = np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    expected = resample(waveform, rate, 16000)
    monkeypatch.setattr(resampling, "_CHUNK", 1000)
    np.testing.assert_allclose(resample(waveform, rate, 16000), expected, atol=2e-6)


@pytest.mark.parametrize("rate", [1009, 7919, 12207, 44101, 999_983])
def test_when_rates_share_no_divisor_then_soxr_keeps_the_tone(monkeypatch, rate):
    monkeypatch.setattr(torchaudio.functional, "resample", None)  # a call would fail
    resampled = resample(tone(rate), rate, 16000)
    assert resampled.shape == (16000,)
    np.testing.assert_allclose(resampled[1000:-1000], tone(16000)[1000:-1000], atol=2e-3)


def test_when_a_long_recording_goes_through_soxr_then_its_pieces_join(monkeypatch):
    waveform = np.random.default_rng(0).standard_normal(12207).astype(np.float32)
    expected = resample(waveform, 12207, 16000)
    monkeypatch.setattr(resampling, "_CHUNK", 1000)
    np.testing.assert_allclose(resample(waveform, 12207, 16000), expected, atol=1e-5)


def test_every_kernel_that_torchaudio_builds_is_small(monkeypatch):
    built = []

    def record(waveform, old, new, lowpass_filter_width, rolloff):
        width = int(np.ceil(lowpass_filter_width * old / (min(old, new) * rolloff)))
        built.append(new * (2 * width + old))
        return torch.zeros(-(-len(waveform) * new // old))

    monkeypatch.setattr(torchaudio.functional, "resample", record)
    for rate in [*range(1000, 20000, 37), *range(20000, 1_000_000, 9973)]:
        resample(np.zeros(8, dtype=np.float32), rate, 16000)
    assert built and max(built) <= resampling.MAX_KERNEL


@pytest.mark.parametrize("rate", [0, 1, 999, 1_000_001, 2**31 - 1])
def test_when_a_rate_is_implausible_then_error_names_file_and_rate(rate):
    with pytest.raises(ValueError, match=rf"^a\.wav has a sampling rate of {rate} Hz, which is not between"):
        check_rate(rate, "a.wav")
    check_rate(1000, "a.wav")
    check_rate(1_000_000, "a.wav")
