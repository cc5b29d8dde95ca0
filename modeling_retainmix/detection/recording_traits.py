"""Traits of recordings that are not the machine's: a test that differs in them scores high for no fault.

They are measured while a clip is loaded, stored with the references, and compared when tests are scored
(`trait_differences.py`).
"""

import math
from typing import NamedTuple

import numpy as np

from modeling_retainmix.audio import SAMPLING_RATE

FULL_BAND = SAMPLING_RATE / 2  # Hz, what the encoders hear at most

# How recordings are coded, with libsndfile's names of what is coarse or lossy. Saved detectors hold the position:
# add at the end only.
CODINGS = (
    ("lossless", ()),
    ("8 bit", ("PCM_S8", "PCM_U8", "DPCM_8")),
    ("u-law", ("ULAW",)),
    ("A-law", ("ALAW",)),
    ("ADPCM", ("IMA_ADPCM", "MS_ADPCM", "VOX_ADPCM", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32")),
    ("G.72x", ("G721_32", "G723_24", "G723_40")),
    ("GSM", ("GSM610",)),
    ("12 bit", ("DWVW_12",)),
    ("MP3", ("MPEG_LAYER_III",)),
    ("MPEG layer I or II", ("MPEG_LAYER_I", "MPEG_LAYER_II")),
    ("Vorbis", ("VORBIS",)),
    ("Opus", ("OPUS",)),
)

_FFT_SIZE = 512
_MOST_FRAMES = 256
_EDGE_DROP = 20.0  # dB from below an edge of the band to everything above it
_HIGH_EDGE_DROP = 30.0  # dB, for edges near the end of the spectrum, where many converters fall off a little
_HIGH_EDGE = 1.25  # below the full band by this factor
_FLOOR = 1e-10  # of the largest power: below it lies what filters leave
_EDGE_BINS = 16  # 500 Hz: what is averaged below the edge, and how wide its slope may be
_LONG_FFT_SIZE, _FEW_FRAMES = 2048, 32  # for low frequencies: bins of 7.8 Hz
_LOWEST_BIN = 2  # below it lies what a constant offset leaves
_HIGHPASS_EDGES = 80 * 2 ** (np.arange(13) / 3)  # Hz, 80 to 1280
_CELL_BINS, _EMPTY_CELL = 4, 1e-4  # cells of 32 ms and 125 Hz; of the power of the median cell
_CLIPPED_LEVEL, _OVERSHOOT = 0.99, 1.5  # of full scale; resampling makes ripples of what was clipped there
_EQUAL = 1 - 1e-6


class Traits(NamedTuple):
    """Traits of one recording, in the order in which they are stored; NaN where they are unknown.

    Attributes:
        sampling_rate: of the file or array, in Hz.
        channels: of the file.
        seconds: length.
        bandwidth: highest frequency in Hz, at most 8000 and half the file's sampling rate; lower where the spectrum
            ends in an edge, as that of a recording does which once had a lower rate, or went through a codec.
        clipped_share: of samples, those at full scale, or several in a row at the largest value of the clip.
        level: of the clip in dB of full scale (root mean square).
        coding: of the file, position in `CODINGS`; 0 for all without loss.
        low_cut: largest fall of the spectrum towards low frequencies within two octaves, in dB: a high-pass filter's.
        empty_share: of the cells of time and frequency below the bandwidth, those 40 dB under the median cell: where a
            codec or a notch left nothing, or the recording pauses.
    """

    sampling_rate: float
    channels: float
    seconds: float
    bandwidth: float
    clipped_share: float
    level: float
    coding: float
    low_cut: float
    empty_share: float


def measure_traits(
    waveform: np.ndarray,
    sampling_rate: float = math.nan,
    channels: float = math.nan,
    coding: str | None = None,
) -> Traits:
    """Measure the traits of a clip.

    Args:
        waveform: float32 [samples] at 16 kHz, not silent.
        sampling_rate: of its file, in Hz; NaN: it is unknown.
        channels: of its file.
        coding: libsndfile's name of how its file is coded; None: it has no file.
    """
    magnitude = np.abs(waveform)
    peak = float(magnitude.max())
    clipped = float(np.mean(_is_clipped(magnitude, peak)))
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    level = 10 * math.log10(power) if power > 0 else math.nan
    cells = _power(waveform, peak, _FFT_SIZE, _MOST_FRAMES)
    bandwidth = _bandwidth(cells)
    if bandwidth > sampling_rate / 2:  # resampling leaves a slope above it; what is unknown limits nothing
        bandwidth = sampling_rate / 2
    return Traits(
        sampling_rate,
        channels,
        len(waveform) / SAMPLING_RATE,
        bandwidth,
        clipped,
        level,
        math.nan if coding is None else _coding_number(coding),
        _low_cut(_power(waveform, peak, _LONG_FFT_SIZE, _FEW_FRAMES)),
        _empty_share(cells, bandwidth),
    )


def _is_clipped(magnitude: np.ndarray, peak: float) -> np.ndarray:
    if 1 <= peak <= _OVERSHOOT:
        return magnitude >= _CLIPPED_LEVEL
    at_peak = magnitude >= _EQUAL * peak
    in_row = np.zeros_like(at_peak)
    in_row[1:] |= at_peak[:-1]
    in_row[:-1] |= at_peak[1:]
    return at_peak & in_row


def _coding_number(name: str) -> int:
    return next((number for number, (_, names) in enumerate(CODINGS) if name in names), 0)


def _power(waveform: np.ndarray, peak: float, size: int, most_frames: int) -> np.ndarray:
    """Power spectra of frames spread over a clip, [frames, size / 2 + 1]; no frame where the clip is too short."""
    if len(waveform) < size or not peak > 0:
        return np.empty((0, size // 2 + 1))
    starts = np.unique(np.linspace(0, len(waveform) - size, most_frames).astype(np.int64))
    frames = waveform[starts[:, None] + np.arange(size)] / np.float32(peak)
    spectra = np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)
    return np.square(spectra.real) + np.square(spectra.imag)


def _mean_level(spectra: np.ndarray) -> np.ndarray:
    power = spectra.mean(axis=0, dtype=np.float64)
    return 10 * np.log10(np.maximum(power, _FLOOR * power.max()))


def _bandwidth(spectra: np.ndarray) -> float:
    """Return the frequency above which the spectrum lies `_EDGE_DROP` below what is just under it, in Hz."""
    if not spectra.any():
        return math.nan
    level = _mean_level(spectra)
    above = np.maximum.accumulate(level[::-1])[::-1]  # the largest from a bin on
    below = np.median(np.lib.stride_tricks.sliding_window_view(level, _EDGE_BINS), axis=1)
    edges = np.arange(_EDGE_BINS, len(level) - 2 * _EDGE_BINS + _EDGE_BINS // 2)  # nearer to the end counts as full
    drops = below[edges - _EDGE_BINS] - above[edges + _EDGE_BINS]
    is_high = edges * SAMPLING_RATE / _FFT_SIZE > FULL_BAND / _HIGH_EDGE
    drops[drops < np.where(is_high, _HIGH_EDGE_DROP, _EDGE_DROP)] = 0
    sharpest = int(drops.argmax())
    if drops[sharpest] == 0:
        return FULL_BAND
    first = max(int(edges[sharpest]) - 2 * _EDGE_BINS, 0)
    inside = np.median(level[first : first + _EDGE_BINS])
    slope = level[first : first + 3 * _EDGE_BINS]
    return float((first + np.flatnonzero(slope >= inside - _EDGE_DROP / 2)[-1]) * SAMPLING_RATE / _FFT_SIZE)


def _low_cut(spectra: np.ndarray) -> float:
    """Return the largest fall from an octave to the one that ends an octave below it, in dB; medians ignore tones."""
    if not spectra.any():
        return math.nan
    level, bins = _mean_level(spectra), np.round(_HIGHPASS_EDGES * _LONG_FFT_SIZE / SAMPLING_RATE).astype(int)
    falls = [
        np.median(level[edge : 2 * edge]) - np.median(level[max(edge // 4, _LOWEST_BIN) : edge // 2]) for edge in bins
    ]
    return float(max(falls))


def _empty_share(spectra: np.ndarray, bandwidth: float) -> float:
    if not spectra.any():
        return math.nan
    cells = spectra[:, :-1].reshape(len(spectra), -1, _CELL_BINS).mean(axis=2)
    cells = cells[:, : max(round(cells.shape[1] * bandwidth / FULL_BAND), 1)]
    return float(np.mean(cells < _EMPTY_CELL * np.median(cells[cells > 0])))
