"""Traits of recordings that are not the machine's: a test that differs in them scores high for no fault.

They are measured while a clip is loaded, stored with the references, and compared when tests are scored.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.windows import Windows

FULL_BAND = SAMPLING_RATE / 2  # Hz, what the encoders hear at most

# What counts as different. A trait has to lie outside all references by these factors or distances.
_LENGTH_FACTOR = 2.0
_BAND_FACTOR = 1.25
_LEVEL_DISTANCE = 20.0  # dB
_CLIPPED_SHARE = 0.01

_COMMON_BAND = 0.85  # of the lowest bandwidth: below the slope of its filter

_FFT_SIZE = 512
_MOST_FRAMES = 256
_EDGE_DROP = 20.0  # dB from below an edge of the band to everything above it
_FLOOR = 1e-10  # of the largest power: below it lies what filters leave
_EDGE_BINS = 16  # 500 Hz: what is averaged below the edge, and how wide its slope may be
_CLIPPED_LEVEL, _OVERSHOOT = 0.99, 1.5  # of full scale; resampling makes ripples of what was clipped there
_EQUAL = 1 - 1e-6


class Traits(NamedTuple):
    """Traits of one recording, in the order in which they are stored; NaN where they are unknown.

    Attributes:
        sampling_rate: of the file or array, in Hz.
        channels: of the file.
        seconds: length.
        bandwidth: highest frequency in Hz, 8000 at most; lower where the spectrum ends in an edge, as that of a
            recording does which once had a lower sampling rate.
        clipped_share: of samples, those at full scale, or several in a row at the largest value of the clip.
        level: of the clip in dB of full scale (root mean square).
    """

    sampling_rate: float
    channels: float
    seconds: float
    bandwidth: float
    clipped_share: float
    level: float


def measure_traits(waveform: np.ndarray, sampling_rate: float = math.nan, channels: float = math.nan) -> Traits:
    """Measure the traits of a clip.

    Args:
        waveform: float32 [samples] at 16 kHz, not silent.
        sampling_rate: of its file, in Hz.
        channels: of its file.
    """
    magnitude = np.abs(waveform)
    peak = float(magnitude.max())
    clipped = float(np.mean(_is_clipped(magnitude, peak)))
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    level = 10 * math.log10(power) if power > 0 else math.nan
    return Traits(sampling_rate, channels, len(waveform) / SAMPLING_RATE, _bandwidth(waveform, peak), clipped, level)


def describe_differences(
    traits: np.ndarray,
    reference_traits: np.ndarray,
    names: Sequence[str],
    windows: Windows,
    max_frequency: float | None = None,
) -> str | None:
    """Name in one message all traits of tests that lie outside those of all references.

    Args:
        traits: [tests, traits] as in `Traits`; rows of NaN are left out.
        reference_traits: [references, traits].
        names: of the tests.
        windows: of the detector. Length counts up to a window where only the first one is read.
        max_frequency: of the detector; sampling rates and bands above it are not compared.

    Returns:
        The message, or None: nothing differs.
    """
    tests, references = (_compared(values, windows, max_frequency) for values in (traits, reference_traits))
    problems: list[str] = []
    cures: list[str] = []
    any_differs = np.zeros(len(tests), dtype=bool)
    for index, trait in enumerate(Traits._fields):
        known = references[~np.isnan(references[:, index]), index]
        if len(known) == 0:
            continue
        column = tests[:, index]
        differs = _differs(trait, column, known)
        if not differs.any():
            continue
        any_differs |= differs
        first, others = names[int(differs.argmax())], int(differs.sum()) - 1
        problems.append(
            f"{_LABELS[trait]} {_span(trait, column[differs])}, references {_span(trait, known)} ({first}"
            + (f" and {others} others)" if others > 1 else " and 1 other)" if others else ")")
        )
        cures += [cure for cure in _cures(trait, column[differs], known, windows) if cure not in cures]
    if not problems:
        return None
    count = int(any_differs.sum())
    subject = "1 clip differs" if count == 1 else f"{count} clips differ"
    return (
        f"{subject} from all references in what is not the machine's, and may score high for that: "
        f"{'; '.join(problems)}: {', '.join(cures)}"
    )


_LABELS = {
    "sampling_rate": "sampling rate",
    "channels": "channels",
    "seconds": "length",
    "bandwidth": "bandwidth",
    "clipped_share": "clipped samples",
    "level": "level",
}


def _compared(values: np.ndarray, windows: Windows, max_frequency: float | None) -> np.ndarray:
    """Traits as they are compared: without what the detector does not read."""
    values = np.array(values, dtype=np.float64)
    rate, seconds, bandwidth = (Traits._fields.index(name) for name in ("sampling_rate", "seconds", "bandwidth"))
    if max_frequency is not None:
        values[values[:, rate] >= 2 * max_frequency, rate] = np.nan  # whatever it is, the common band is in it
        values[:, bandwidth] = np.minimum(values[:, bandwidth], max_frequency)
    if windows.reduce == "first":
        values[:, seconds] = np.minimum(values[:, seconds], windows.window_seconds)
    return values


def _differs(trait: str, values: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Which values lie outside all references, [tests] bool; NaN does not."""
    low, high = references.min(), references.max()
    match trait:
        case "sampling_rate" | "channels":
            return ~np.isnan(values) & ~np.isin(values, references)
        case "seconds":
            return (values < low / _LENGTH_FACTOR) | (values > high * _LENGTH_FACTOR)
        case "bandwidth":
            return (values < low / _BAND_FACTOR) | (values > high * _BAND_FACTOR)
        case "clipped_share":
            return values > high + _CLIPPED_SHARE
    return (values < low - _LEVEL_DISTANCE) | (values > high + _LEVEL_DISTANCE)


def _span(trait: str, values: np.ndarray) -> str:
    scale, form, unit = {
        "sampling_rate": (1, ".0f", " Hz"),
        "channels": (1, ".0f", ""),
        "seconds": (1, ".3g", " s"),
        "bandwidth": (1, ".0f", " Hz"),
        "clipped_share": (100, ".2g", " %"),
        "level": (1, ".0f", " dB"),
    }[trait]
    low, high = format(scale * values.min(), form), format(scale * values.max(), form)
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def _cures(trait: str, values: np.ndarray, references: np.ndarray, windows: Windows) -> list[str]:
    lowest = min(values.min(), references.min())
    match trait:
        case "bandwidth":
            return [f"compare the common band with max_frequency={_round_down(_COMMON_BAND * lowest):g}"]
        case "sampling_rate" if lowest < SAMPLING_RATE:
            return [f"compare the common band with max_frequency={_round_down(_COMMON_BAND * lowest / 2):g}"]
        case "seconds":
            short = values.min() < references.min() and values.min() < windows.window_seconds
            long = values.max() > references.max() and windows.reduce == "max"
            return [
                *([f"cut references alike with window_seconds={values.min():.3g}"] if short else []),
                *(["take thresholds from decide, or threshold(num_windows=)"] if long else []),
            ] or ["record all alike"]
    return ["record all alike"]


def _round_down(frequency: float) -> float:
    return 100 * math.floor(frequency / 100)


def _is_clipped(magnitude: np.ndarray, peak: float) -> np.ndarray:
    if 1 <= peak <= _OVERSHOOT:
        return magnitude >= _CLIPPED_LEVEL
    at_peak = magnitude >= _EQUAL * peak
    in_row = np.zeros_like(at_peak)
    in_row[1:] |= at_peak[:-1]
    in_row[:-1] |= at_peak[1:]
    return at_peak & in_row


def _bandwidth(waveform: np.ndarray, peak: float) -> float:
    """Return the frequency above which the spectrum lies `_EDGE_DROP` below what is just under it, in Hz."""
    if len(waveform) < _FFT_SIZE or not peak > 0:
        return math.nan
    starts = np.unique(np.linspace(0, len(waveform) - _FFT_SIZE, _MOST_FRAMES).astype(np.int64))
    frames = waveform[starts[:, None] + np.arange(_FFT_SIZE)].astype(np.float64) / peak
    spectrum = np.fft.rfft(frames * np.hanning(_FFT_SIZE), axis=1)
    power = np.square(np.abs(spectrum)).mean(axis=0)
    level = 10 * np.log10(np.maximum(power, _FLOOR * power.max()))
    above = np.maximum.accumulate(level[::-1])[::-1]  # the largest from a bin on
    below = np.median(np.lib.stride_tricks.sliding_window_view(level, _EDGE_BINS), axis=1)
    edges = np.arange(_EDGE_BINS, len(level) - 2 * _EDGE_BINS + _EDGE_BINS // 2)  # nearer to the end counts as full
    drops = below[edges - _EDGE_BINS] - above[edges + _EDGE_BINS]
    sharpest = int(drops.argmax())
    if drops[sharpest] < _EDGE_DROP:
        return FULL_BAND
    first = max(int(edges[sharpest]) - 2 * _EDGE_BINS, 0)
    inside = np.median(level[first : first + _EDGE_BINS])
    slope = level[first : first + 3 * _EDGE_BINS]
    return float((first + np.flatnonzero(slope >= inside - _EDGE_DROP / 2)[-1]) * SAMPLING_RATE / _FFT_SIZE)
