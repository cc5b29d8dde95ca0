"""What is not the machine's is measured."""

import io

import numpy as np
import pytest
import soundfile as sf
from scipy import signal

from modeling_retainmix.audio import resample
from modeling_retainmix.detection.recording_traits import measure_traits

RATE = 16000


def noise(seconds=1.0, rate=RATE):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [4000, 6000, 8000, 11025])
def test_bandwidth_of_a_recording_that_had_a_lower_rate_is_half_of_that_rate(rate):
    traits = measure_traits(resample(noise(2.0, rate), rate, RATE))
    assert traits.bandwidth == pytest.approx(rate / 2, rel=0.15)


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 44100])
def test_bandwidth_is_at_most_half_the_sampling_rate_of_the_file(rate):
    waveform = resample(noise(2.0, rate), rate, RATE)
    assert measure_traits(waveform, rate).bandwidth <= min(rate / 2, 8000)
    assert measure_traits(waveform, rate).bandwidth == pytest.approx(min(rate / 2, 8000), rel=0.15)
    assert measure_traits(noise(), rate).bandwidth == min(rate / 2, 8000)  # also where no edge is seen


@pytest.mark.parametrize("power", [0, 1, 2, 3])
def test_spectra_that_fall_without_an_edge_have_the_full_band(power):
    frequencies = np.fft.rfftfreq(RATE, 1 / RATE)
    falling = np.fft.irfft(np.fft.rfft(noise()) / np.maximum(frequencies, 20) ** (power / 2), RATE)
    assert measure_traits(falling.astype(np.float32)).bandwidth == 8000


@pytest.mark.parametrize(("order", "least"), [(2, 15), (4, 30), (8, 40)])
@pytest.mark.parametrize("edge", [100, 300, 1000])
def test_low_cut_is_the_fall_of_a_high_pass_filter(order, least, edge):
    sos = signal.butter(order, edge, "highpass", fs=RATE, output="sos")
    machine = noise(2.0) + 0.05 * np.sin(2 * np.pi * 50 * np.arange(2 * RATE) / RATE).astype(np.float32)
    assert measure_traits(machine).low_cut < 5
    filtered = signal.sosfilt(sos, machine).astype(np.float32)
    assert measure_traits(filtered).low_cut > least
    assert measure_traits(filtered + np.float32(0.3)).low_cut > least  # a constant offset hides nothing


def coded(waveform, **options):
    buffer = io.BytesIO()
    sf.write(buffer, waveform, RATE, **options)
    buffer.seek(0)
    return sf.read(buffer, dtype="float32")[0][: len(waveform)]


def test_an_mp3_has_a_lower_bandwidth_than_what_it_was_made_of():
    for compression in (0.0, 0.5, 0.75):
        traits = measure_traits(coded(noise(2.0), format="MP3", compression_level=compression))
        assert 7000 < traits.bandwidth < 7500
    assert measure_traits(coded(noise(2.0), format="FLAC")).bandwidth == 8000


def test_empty_share_is_that_of_what_a_codec_left_out():
    frequencies = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    machine = np.fft.irfft(np.fft.rfft(noise(2.0)) / np.maximum(frequencies, 20), 2 * RATE).astype(np.float32)
    assert measure_traits(machine).empty_share == 0
    assert measure_traits(coded(machine, format="OGG", subtype="VORBIS", compression_level=1.0)).empty_share > 0.02
    for padded in (0.25, 0.8):  # also where most of a clip is padding
        silent_end = machine * (np.arange(2 * RATE) < (1 - padded) * 2 * RATE)
        assert measure_traits(silent_end).empty_share == pytest.approx(padded, abs=0.05)


def test_a_notch_is_empty_and_a_band_that_ends_is_not():
    sos = signal.butter(8, [2000, 3000], "bandstop", fs=RATE, output="sos")
    assert measure_traits(signal.sosfilt(sos, noise(2.0)).astype(np.float32)).empty_share > 0.05
    assert measure_traits(resample(noise(2.0, 8000), 8000, RATE)).empty_share < 0.02


@pytest.mark.parametrize(
    ("name", "number"),
    [("PCM_16", 0), ("FLOAT", 0), ("ALAC_24", 0), ("PCM_U8", 1), ("ULAW", 2), ("MPEG_LAYER_III", 8), ("OPUS", 11)],
)
def test_codings_keep_their_numbers_which_saved_detectors_hold(name, number):
    assert name in sf.available_subtypes()
    assert measure_traits(noise(), RATE, 1, name).coding == number


def test_every_coding_of_less_than_16_bits_or_with_loss_has_a_number():
    lossless = {name for name in sf.available_subtypes() if measure_traits(noise(), RATE, 1, name).coding == 0}
    assert lossless == {
        *("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "DWVW_16", "DWVW_24", "DPCM_16"),
        *("ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32"),
    }
    assert np.isnan(measure_traits(noise(), RATE, 1).coding)


def test_a_click_in_a_long_silence_gives_unknown_spectra_without_a_warning(recwarn):
    clip = np.zeros(60 * RATE, dtype=np.float32)
    clip[3000] = 0.5
    traits = measure_traits(clip)
    assert np.isnan([traits.bandwidth, traits.low_cut, traits.empty_share]).all() and not recwarn


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
