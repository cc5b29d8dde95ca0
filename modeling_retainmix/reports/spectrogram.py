"""Pictures of log-mel spectrograms as PNG, without a library for pictures."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.level_cells import band_edges
from modeling_retainmix.encoders.fbank import FFT_SIZE, FRAME_LENGTH, FRAME_SHIFT, kaldi_fbank, mel_filters

NUM_MEL_BINS = 128
COLUMN_FRAMES = 2  # frames of 10 ms in a column of the picture

# Black by violet and orange to a light yellow: every step is lighter than the one before, also in grey.
_ANCHORS = np.array([(8, 6, 24), (72, 20, 106), (158, 42, 99), (229, 92, 48), (251, 180, 68), (252, 250, 200)])
_LIGHTEST, _DARKEST = 99.9, 2.0  # percentiles of the levels
_LEAST_RANGE, _MOST_RANGE = 30.0, 70.0  # dB
_NUM_COLORS = 64  # fewer of them make smaller files


def log_mel_db(waveform: np.ndarray) -> np.ndarray:
    """Return log-mel levels in dB, [frames, 128].

    Low filters are narrower than the steps of the spectrum, so some hold too little of it, or nothing. Levels are
    corrected by the weights that a filter lacks, and empty bins take the level between their neighbors: else dark
    stripes would be drawn that are not in the sound.

    Args:
        waveform: float32 [samples] at 16 kHz; shorter than a frame of 25 ms, it is padded with zeros.
    """
    padded = np.pad(waveform, (0, max(FRAME_LENGTH - len(waveform), 0)))
    levels = kaldi_fbank(torch.from_numpy(padded[None]), NUM_MEL_BINS)[0].numpy() * (10 / np.log(10))
    weights = mel_filters(NUM_MEL_BINS, "cpu").sum(dim=0).double().numpy()
    heard, widths = weights > 0, np.diff(band_edges(NUM_MEL_BINS)) * FFT_SIZE / SAMPLING_RATE
    levels = levels[:, heard] + 10 * np.log10(widths[heard] / weights[heard])
    bins = np.arange(NUM_MEL_BINS)
    return np.stack([np.interp(bins, bins[heard], frame) for frame in levels])


def picture_seconds(levels: np.ndarray) -> float:
    """Return how much time a picture of levels [frames, mel bins] spans, in seconds."""
    return len(levels) * FRAME_SHIFT / SAMPLING_RATE


def color_range(pictures: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the levels in dB of the darkest and the lightest color of all pictures [frames, mel bins]."""
    if not pictures:
        return -_MOST_RANGE, 0.0
    lightest = max(float(np.percentile(levels, _LIGHTEST)) for levels in pictures)
    darkest = min(float(np.percentile(levels, _DARKEST)) for levels in pictures)
    return lightest - min(max(lightest - darkest, _LEAST_RANGE), _MOST_RANGE), lightest


def log_mel_png(levels: np.ndarray, darkest_db: float, lightest_db: float) -> bytes:
    """Draw levels as a PNG, time to the right, low frequencies at the bottom; a column is 20 ms.

    Args:
        levels: [frames, mel bins] in dB.
        darkest_db, lightest_db: of the first and of the last color.
    """
    columns = np.array_split(levels, np.arange(COLUMN_FRAMES, len(levels), COLUMN_FRAMES))
    means = np.stack([column.mean(axis=0) for column in columns])
    share = (means - darkest_db) / (lightest_db - darkest_db)
    colors = np.clip(np.floor(share * _NUM_COLORS), 0, _NUM_COLORS - 1).astype(np.uint8)
    return indexed_png(colors.T[::-1], palette())


def palette() -> np.ndarray:
    """Return the colors from dark to light, [colors, 3] uint8."""
    places = np.linspace(0, len(_ANCHORS) - 1, _NUM_COLORS)
    columns = [np.interp(places, np.arange(len(_ANCHORS)), column) for column in _ANCHORS.T]
    return np.stack(columns, axis=1).round().astype(np.uint8)


def indexed_png(indices: np.ndarray, colors: np.ndarray) -> bytes:
    """Write a picture of at most 256 colors as PNG (ISO/IEC 15948).

    Args:
        indices: [height, width] uint8, the color of each pixel.
        colors: [colors, 3] uint8, red, green and blue.
    """
    height, width = indices.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits, palette, no interlacing
    rows = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)  # each row begins with its filter: none
    parts = (
        (b"IHDR", header),
        (b"PLTE", colors.tobytes()),
        (b"IDAT", zlib.compress(rows.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def frequency_share(hertz: float) -> float:
    """Return how far up a frequency lies in a picture, from 0 at the bottom to 1 at the top; it is linear in mel."""
    low, high = band_edges(1, NUM_MEL_BINS)
    bottom, here, top = np.log1p(np.array([low, hertz, high]) / 700.0)
    return float(np.clip((here - bottom) / (top - bottom), 0, 1))
