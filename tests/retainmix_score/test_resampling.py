"""Resampling without torch against that of the detector."""

import numpy as np
import pytest

from modeling_retainmix.resampling import resample as detector_resample
from retainmix_score.resampling import resample


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 12_207])
@pytest.mark.parametrize("samples", [1, 5, 441, 20_001])
def test_when_the_rate_changes_then_the_detector_has_the_same_samples_within_1e_6(rate, samples):
    waveform = np.random.default_rng(0).uniform(-1, 1, samples).astype(np.float32)
    expected, actual = detector_resample(waveform, rate, 16_000), resample(waveform, rate, 16_000)
    assert actual.dtype == np.float32 and len(actual) == len(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_when_a_recording_is_longer_than_a_chunk_then_its_pieces_join_without_a_seam():
    waveform = np.random.default_rng(0).uniform(-1, 1, 2_500_000).astype(np.float32)
    np.testing.assert_allclose(
        resample(waveform, 44_100, 16_000), detector_resample(waveform, 44_100, 16_000), atol=1e-6
    )
