"""What is not the machine's is measured, and named where a test differs from all references."""

import numpy as np
import pytest

from modeling_retainmix.audio import resample
from modeling_retainmix.detection.recording_traits import Traits, describe_differences, measure_traits
from modeling_retainmix.detection.windows import Windows

RATE = 16000
USUAL = Traits(16000, 1, 10, 8000, 0, -20)


def noise(seconds=1.0, rate=RATE):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


def describe(tests, references=(USUAL,), windows=None, max_frequency=None):
    names = [f"{index}.wav" for index in range(len(tests))]
    return describe_differences(np.asarray(tests), np.asarray(references), names, windows or Windows(), max_frequency)


@pytest.mark.parametrize("rate", [4000, 6000, 8000, 11025])
def test_bandwidth_of_a_recording_that_had_a_lower_rate_is_half_of_that_rate(rate):
    traits = measure_traits(resample(noise(2.0, rate), rate, RATE))
    assert traits.bandwidth == pytest.approx(rate / 2, rel=0.15)


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_spectra_that_fall_without_an_edge_have_the_full_band(power):
    frequencies = np.fft.rfftfreq(RATE, 1 / RATE)
    falling = np.fft.irfft(np.fft.rfft(noise()) / np.maximum(frequencies, 20) ** (power / 2), RATE)
    assert measure_traits(falling.astype(np.float32)).bandwidth == 8000


def test_clipped_share_is_that_of_samples_in_a_row_at_the_limit():
    loud = 20 * noise()
    for limit in (1.0, 0.3):  # full scale, and turned down afterwards
        clipped = np.clip(loud, -1, 1) * limit
        assert measure_traits(clipped).clipped_share == pytest.approx((np.abs(loud) >= 1).mean(), abs=0.1)
    sine = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    for whole in (noise(), loud, 0.3 * sine):
        assert measure_traits(whole).clipped_share < 0.001


def test_clipping_at_a_higher_rate_is_seen_after_resampling():
    clipped = resample(np.clip(20 * noise(1.0, 48000), -1, 1), 48000, RATE)
    assert measure_traits(clipped).clipped_share > 0.02


def test_level_and_length_are_those_of_the_samples():
    traits = measure_traits(
        np.full(8000, 0.1, dtype=np.float32) * np.resize([1, -1], 8000).astype(np.float32), 44100, 2
    )
    assert traits.level == pytest.approx(-20, abs=1e-4)
    assert (traits.sampling_rate, traits.channels, traits.seconds) == (44100, 2, 0.5)


def test_the_largest_and_smallest_samples_of_float32_give_traits():
    for scale in (1e-38, 1e38):
        traits = measure_traits((noise() / 0.5 * scale).astype(np.float32))
        assert np.isfinite([traits.bandwidth, traits.level, traits.clipped_share]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampling_rate": 8000}, "sampling rate 8000 Hz, references 16000 Hz .*max_frequency=3400"),
        ({"sampling_rate": 48000}, "sampling rate 48000 Hz, references 16000 Hz .*record all alike"),
        ({"channels": 2}, "channels 2, references 1"),
        ({"seconds": 2}, "length 2 s, references 10 s .*cut references alike with window_seconds=2"),
        ({"seconds": 60}, r"length 60 s, references 10 s .*take thresholds from decide, or threshold\(num_windows=\)"),
        ({"bandwidth": 4000}, "bandwidth 4000 Hz, references 8000 Hz .*max_frequency=3400"),
        ({"clipped_share": 0.05}, "clipped samples 5 %, references 0 %"),
        ({"level": -41}, "level -41 dB, references -20 dB"),
        ({"level": 1}, "level 1 dB, references -20 dB"),
    ],
)
def test_what_lies_outside_all_references_is_named_with_file_and_cure(change, message):
    assert describe([USUAL]) is None
    text = describe([USUAL, USUAL._replace(**change)])
    assert text is not None
    with pytest.raises(AssertionError, match=rf"^1 clip differs from all references .*{message}") as raised:
        raise AssertionError(text)
    assert "(1.wav)" in str(raised.value) and "0.wav" not in text


@pytest.mark.parametrize("change", [{"seconds": 6}, {"seconds": 19}, {"level": -39}, {"bandwidth": 7000}])
def test_what_lies_near_the_references_is_not_named(change):
    assert describe([USUAL._replace(**change)]) is None


def test_one_reference_that_is_alike_suffices():
    assert describe([USUAL._replace(channels=2)], [USUAL, USUAL._replace(channels=2)]) is None


def test_several_traits_and_clips_make_one_message():
    text = describe([USUAL._replace(level=-50, channels=2), USUAL, USUAL._replace(level=-60)])
    assert text.startswith("2 clips differ from all references in what is not the machine's")
    assert "channels 2, references 1 (0.wav); level -60 to -50 dB, references -20 dB (0.wav and 1 other)" in text


def test_what_is_unknown_is_not_compared():
    unknown = Traits(*[np.nan] * 6)
    assert describe([USUAL], [unknown]) is None
    assert describe([unknown], [USUAL]) is None


def test_what_the_detector_does_not_read_is_not_compared():
    other = USUAL._replace(sampling_rate=8000, bandwidth=3900)
    assert describe([other]) and describe([other], max_frequency=3700) is None
    longer = USUAL._replace(seconds=60)
    assert describe([longer]) and describe([longer], windows=Windows(reduce="first")) is None
