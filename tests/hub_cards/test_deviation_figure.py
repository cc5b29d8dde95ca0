"""The demo's pictures: right values at the right place of the axes."""

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the demo draws with matplotlib: pip install matplotlib")

from deviation_figure import deviation_figure

from modeling_retainmix.detection.explanation import Explanation

COLUMNS, COLUMN_SECONDS = 12, 0.16


@pytest.fixture
def explanation() -> Explanation:
    rng = np.random.default_rng(0)
    contributions = rng.standard_normal((COLUMNS, 8))
    return Explanation(
        contributions=contributions,
        level_deviations=rng.standard_normal((COLUMNS, 8)),
        squared_distance=contributions.mean(axis=0).sum(),
        reference="normal.wav",
        domain="source",
        start_seconds=5.0,
        column_seconds=COLUMN_SECONDS,
    )


@pytest.fixture
def waveform() -> np.ndarray:
    """5 s of noise, then 2 s of a tone of 1 kHz."""
    time = np.arange(32000) / 16000
    noise = np.random.default_rng(0).standard_normal(112000) * 1e-3
    noise[80000:] += 0.1 * np.sin(2 * np.pi * 1000 * time)
    return noise.astype(np.float32)


def pictures(figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_figure_shows_log_mel_picture_and_both_maps_over_the_window_that_counts(waveform, explanation):
    figure = deviation_figure(waveform, explanation)
    log_mel, levels, parts = pictures(figure)
    assert log_mel.shape == (128, 16 * COLUMNS) and log_mel.max() == 0
    np.testing.assert_array_equal(levels, explanation.level_deviations.T)
    assert parts.sum() == pytest.approx(explanation.squared_distance)
    extents = {tuple(axes.images[0].get_extent()) for axes in figure.axes if axes.images}
    assert extents == {(5.0, 5.0 + COLUMNS * COLUMN_SECONDS, 0.0, 1.0)}


def test_tone_lies_where_the_frequency_axis_says(waveform, explanation):
    axes = deviation_figure(waveform, explanation).axes[0]
    ticks = dict(zip((label.get_text() for label in axes.get_yticklabels()), axes.get_yticks(), strict=True))
    loudest = pictures(axes.figure)[0].argmax(axis=0)
    assert len(set(loudest.tolist())) == 1  # the noise before the window is not shown
    assert (loudest[0] + 0.5) / 128 == pytest.approx(ticks["1"], abs=0.01)


def test_maps_are_centred_so_that_no_colour_means_no_deviation(waveform, explanation):
    for axes in deviation_figure(waveform, explanation).axes:
        if axes.images and axes.get_title() != "Log-mel energy in dB":
            low, high = axes.images[0].get_clim()
            assert low == -high
