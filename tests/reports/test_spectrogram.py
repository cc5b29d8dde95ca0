"""Pictures of levels: a PNG that another library reads, tones where they belong, one range of colors."""

import io

import numpy as np
import pytest

from modeling_retainmix.detection.level_cells import band_edges
from modeling_retainmix.reports import spectrogram

RATE = 16000


def test_when_a_png_is_written_then_another_library_reads_the_same_pixels():
    image = pytest.importorskip("matplotlib.image")
    generator = np.random.default_rng(0)
    colors = generator.integers(0, 256, (64, 3), dtype=np.uint8)
    indices = generator.integers(0, 64, (7, 301), dtype=np.uint8)
    read = image.imread(io.BytesIO(spectrogram.indexed_png(indices, colors)))
    np.testing.assert_array_equal(np.round(255 * read[..., :3]).astype(np.uint8), colors[indices])


@pytest.mark.parametrize("hertz", [200, 1000, 5000])
def test_when_a_tone_is_drawn_then_it_is_lightest_where_the_axis_says(hertz):
    tone = 0.1 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE).astype(np.float32)
    levels = spectrogram.log_mel_db(tone)
    row = int(levels.mean(axis=0).argmax())
    assert (row + 0.5) / spectrogram.NUM_MEL_BINS == pytest.approx(spectrogram.frequency_share(hertz), abs=0.012)


def test_when_low_filters_are_empty_or_narrow_then_no_dark_stripe_is_drawn():
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * RATE).astype(np.float32)
    mean = spectrogram.log_mel_db(noise).mean(axis=0)
    assert np.abs(np.diff(mean[3:])).max() < 4  # uncorrected, neighbors differ by up to 90 dB


def test_when_frequencies_are_placed_then_the_edges_of_bands_are_at_equal_distances():
    shares = [spectrogram.frequency_share(edge) for edge in band_edges(8)]
    np.testing.assert_allclose(shares, np.linspace(0, 1, 9), atol=1e-9)
    assert spectrogram.frequency_share(1) == 0 and spectrogram.frequency_share(20000) == 1


def test_when_pictures_share_colors_then_the_loudest_and_the_quietest_set_the_range_within_bounds():
    quiet, loud = np.full((10, 4), -50.0), np.full((10, 4), -10.0)
    assert spectrogram.color_range([quiet, loud]) == (-50, -10)
    assert spectrogram.color_range([loud]) == (-40, -10)  # at least 30 dB
    assert spectrogram.color_range([loud, quiet - 100]) == (-80, -10)  # at most 70 dB
    assert spectrogram.color_range([]) == (-70, 0)


def test_when_levels_are_drawn_then_low_frequencies_are_at_the_bottom_and_two_frames_make_a_column():
    image = pytest.importorskip("matplotlib.image")
    levels = np.full((5, 128), -70.0)
    levels[:, 0] = 0
    read = image.imread(io.BytesIO(spectrogram.log_mel_png(levels, -70, 0)))[..., :3]
    assert read.shape == (128, 3, 3)
    light, dark = spectrogram.palette()[[-1, 0]] / 255
    np.testing.assert_allclose(read[-1], np.tile(light, (3, 1)), atol=0.003)
    np.testing.assert_allclose(read[0], np.tile(dark, (3, 1)), atol=0.003)


def test_when_colors_are_listed_then_each_is_lighter_than_the_one_before():
    assert (np.diff(spectrogram.palette() @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_when_a_clip_is_shorter_than_a_frame_then_it_has_a_picture():
    assert spectrogram.log_mel_db(np.ones(100, np.float32)).shape == (1, 128)
