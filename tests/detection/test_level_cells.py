"""Cells of the level map against plain loops, and their frequencies against the filter bank."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.level_cells import band_edges, cell_statistics, heard_bins, level_cells, real_cells
from modeling_retainmix.encoders.fbank import kaldi_fbank, mel_filters


@pytest.mark.parametrize(("frames", "size"), [(16, 4), (19, 4), (33, 16)])
def test_when_features_are_averaged_then_a_cell_is_the_mean_of_its_frames_and_bins(frames, size):
    features = torch.randn(2, frames, 32, generator=torch.Generator().manual_seed(0))
    cells = level_cells(features, size)
    assert cells.shape == (2, frames // size, 32 // size)
    for clip in range(2):
        for row in range(frames // size):
            for band in range(32 // size):
                part = features[clip, row * size : (row + 1) * size, band * size : (band + 1) * size]
                torch.testing.assert_close(cells[clip, row, band], part.mean())


def test_when_a_filter_is_empty_then_its_bin_is_left_out_of_the_cell():
    heard = heard_bins(128)
    assert heard.tolist() == [bin_ != 3 for bin_ in range(128)]
    features = kaldi_fbank(torch.randn(1, 4000, generator=torch.Generator().manual_seed(0)))
    cells = level_cells(features, 4, heard)
    torch.testing.assert_close(cells[0, 0, 0], features[0, :4, :3].mean())
    torch.testing.assert_close(cells[..., 1:], level_cells(features)[..., 1:])
    assert (level_cells(features, 4, torch.arange(128) > 7)[..., :2] == 0).all()


@pytest.mark.parametrize("rows", [1, 6, 7])
def test_when_cells_are_summarized_then_values_are_those_of_a_loop(rows):
    cells = torch.randn(3, rows, 5, generator=torch.Generator().manual_seed(0))
    statistics = cell_statistics(cells)
    for window in range(3):
        for band in range(5):
            values = sorted(cells[window, :, band].tolist())
            median = values[(rows - 1) // 2]
            deviations = [value - median for value in values]
            expected = [median, sum(d * d for d in deviations) / rows, deviations[0], deviations[-1]]
            torch.testing.assert_close(statistics[window, band], torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_when_a_window_is_padded_then_only_cells_of_its_samples_stay():
    cells = torch.zeros(1, 249, 32)
    assert real_cells(cells, 16_000).shape == (1, 24, 32)  # 98 frames
    assert real_cells(cells, 160_000).shape == (1, 249, 32)
    assert real_cells(cells, 500).shape == (1, 1, 32)


@pytest.mark.parametrize("frequency", [300, 1000, 2700, 6500])
def test_when_a_tone_sounds_then_the_band_around_it_is_the_loudest(frequency):
    tone = torch.sin(2 * torch.pi * frequency * torch.arange(16_000) / 16_000)
    band = int(level_cells(kaldi_fbank(tone[None]))[0].mean(dim=0).argmax())
    low, high = band_edges(32)[band : band + 2]
    assert low < frequency < high


def test_band_edges_lie_between_the_centers_of_neighboring_filters():
    edges = band_edges(4, 8)
    centers = np.asarray(mel_filters(8, "cpu").argmax(dim=0)) * 16_000 / 512
    for band in range(1, 4):
        assert centers[2 * band - 1] < edges[band] < centers[2 * band]
    assert 20 < edges[0] < edges[-1] < 8000
