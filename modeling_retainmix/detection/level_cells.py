"""The level map of a clip: log-mel levels in cells of 40 ms and four mel bins, and what references keep of theirs.

A patch of the encoders holds 16 of these cells. They need no encoder.
"""

from functools import lru_cache

import numpy as np
import torch

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.encoders.fbank import FRAME_SHIFT, LOWEST_FREQUENCY, mel_filters, num_frames

CELL = 4  # frames, and mel bins
NUM_CELL_STATISTICS = 4


def cell_seconds(frames: int = CELL) -> float:
    """Return the time from one cell of so many frames to the next one, in seconds."""
    return frames * FRAME_SHIFT / SAMPLING_RATE


@lru_cache
def heard_bins(num_mel_bins: int) -> torch.Tensor:
    """Say which mel bins have a filter that is not empty, [num_mel_bins] bool: narrow ones miss all frequencies."""
    return (mel_filters(num_mel_bins, "cpu") > 0).any(dim=0)


def level_cells(features: torch.Tensor, size: int = CELL, heard: torch.Tensor | None = None) -> torch.Tensor:
    """Average log-mel features in cells; frames and bins behind the last whole cell are not read.

    Args:
        features: [batch, frames, mel bins].
        size: frames and mel bins of a cell.
        heard: [mel bins] bool, those that are read; a cell without any is 0. None: all.

    Returns:
        [batch, frames // size, mel bins // size].
    """
    if heard is not None:
        features = features * heard.to(features.device)
    cells = features.unfold(1, size, size).unfold(2, size, size).mean(dim=(3, 4))
    if heard is not None:
        shares = heard.float().unfold(0, size, size).mean(dim=1)
        cells = cells / shares.clamp(min=1 / size).to(cells.device)
    return cells


def real_cells(cells: torch.Tensor, num_samples: int, size: int = CELL) -> torch.Tensor:
    """Leave out the cells behind the samples of a clip, which hold padding or repetitions; at least one stays.

    Args:
        cells: [batch, T, B].
        num_samples: of the clips, at 16 kHz.
        size: frames and mel bins of a cell.
    """
    return cells[:, : max(num_frames(num_samples) // size, 1)]


def cell_statistics(cells: torch.Tensor) -> torch.Tensor:
    """Summarize the cells of each window band by band, over time.

    Args:
        cells: [windows, T, B].

    Returns:
        [windows, B, `NUM_CELL_STATISTICS`]: the median over time (the lower one of two), and of the deviations from
        it the mean square, the smallest and the largest.
    """
    median = cells.median(dim=1).values
    deviations = cells - median[:, None]
    parts = (median, deviations.square().mean(dim=1), deviations.amin(dim=1), deviations.amax(dim=1))
    return torch.stack(parts, dim=2)


def band_edges(num_bands: int, num_mel_bins: int = 128) -> np.ndarray:
    """Return the borders of equal bands of mel bins in Hz, halfway between the centers of two filters.

    Returns:
        [num_bands + 1] float64.
    """
    low, high = 1127.0 * np.log1p(np.array([LOWEST_FREQUENCY, SAMPLING_RATE / 2]) / 700.0)
    mel = low + (high - low) * (np.linspace(0, num_mel_bins, num_bands + 1) + 0.5) / (num_mel_bins + 1)
    edges: np.ndarray = 700.0 * np.expm1(mel / 1127.0)
    return edges
