"""Files that look cut from one recording: they vouch for each other, where only other sessions should.

Two signs are read from files whose names follow each other. Where one was cut from the other, the linear prediction
that fits the end of the first goes on over the beginning of the second, and not the other way round. And with or
without a gap between them, their spectra and noise floors are nearly equal, those of files further apart are not.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.linalg import solve_toeplitz
from scipy.spatial.distance import pdist

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.groups import EXAMPLE

_ORDER = 32  # of the linear prediction, and samples of an end
_EDGE = 4 * SAMPLING_RATE  # samples that a prediction is fitted to
_BANDS, _FFT_SIZE, _MOST_FRAMES = 32, 512, 256
_FLOOR_QUANTILE = 0.1
_P_VALUE = 1e-3  # of a sign that is no chance
_MOST_COMPARED = 1000  # files whose distances to each other tell what is usual
_NEAR_EQUAL = 0.5  # of the usual distance of spectra
_SHOWN = 5

# Values of a file: samples of head and tail, prediction and its error at head and tail, spectrum, floor.
_SIZES = (_ORDER, _ORDER, _ORDER + 1, _ORDER + 1, _BANDS, _BANDS)
NUM_VALUES = sum(_SIZES)


def measure_seam(waveform: np.ndarray) -> np.ndarray:
    """Measure what tells whether another file goes on where a file ends.

    Args:
        waveform: float32 [samples] at 16 kHz.

    Returns:
        [`NUM_VALUES`] float32; NaN for a file that is too short or has a silent end.
    """
    if len(waveform) < max(2 * _ORDER, _FFT_SIZE):
        return np.full(NUM_VALUES, np.nan, dtype=np.float32)
    head, tail = (part.astype(np.float64) for part in (waveform[:_EDGE], waveform[-_EDGE:]))
    values = (head[:_ORDER], tail[-_ORDER:], _prediction(head), _prediction(tail), *_spectrum(waveform))
    return np.concatenate(values).astype(np.float32)


def describe_cuts(seams: np.ndarray, names: Sequence[str], is_target_domain: np.ndarray) -> str | None:
    """Name files that look cut from one recording in one message; None: none do.

    Args:
        seams: [files, `NUM_VALUES`] of `measure_seam`.
        names: of the files.
        is_target_domain: [files] bool; files of one domain are compared.
    """
    runs: list[list[str]] = []
    for domain in (False, True):
        members = np.flatnonzero(is_target_domain == domain).tolist()
        order = sorted(members, key=lambda index: _natural_key(names[index]))
        usable = [index for index in order if np.isfinite(seams[index]).all()]
        runs += [[names[usable[place]] for place in run] for run in find_cuts(seams[usable])]
    if not runs:
        return None
    shown = "; ".join(f"{run[0]} to {Path(run[-1]).name} ({len(run)} files)" for run in runs[:_SHOWN])
    rest = f"; and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return (
        f"these references look cut from one recording, or recorded in one go: {shown}{rest}: a threshold that leaves "
        "out one file at a time is too low. Say which files are of one session with groups= (--sessions on the "
        "command line): 'folder' where those of one session lie in a subfolder of their own, or an expression with "
        f"parentheses around the session in the file's name, such as {EXAMPLE!r}"
    )


def find_cuts(seams: np.ndarray) -> list[range]:
    """Find runs of files, in the order of their names, that look cut from one recording.

    Args:
        seams: [files, `NUM_VALUES`] of `measure_seam`, finite.
    """
    count = len(seams)
    if count < 5:  # too few for any order of them to be no chance
        return []
    head, tail, head_model, tail_model, spectrum, floor = np.split(seams.astype(np.float64), np.cumsum(_SIZES)[:-1], 1)
    parts = (head, tail, head_model, tail_model)
    forward = [_log_error(parts, index, index + 1) for index in range(count - 1)]
    backward = [_log_error(parts, index + 1, index) for index in range(count - 1)]
    ends = stats.wilcoxon(np.subtract(forward, backward), alternative="less").pvalue
    levels = np.concatenate([spectrum, floor], axis=1) / np.sqrt(2 * _BANDS)  # a distance is a root mean square
    neighbors = np.linalg.norm(np.diff(levels, axis=0), axis=1)
    compared = np.unique(np.linspace(0, count - 1, min(count, _MOST_COMPARED)).astype(np.int64))
    first, second = (compared[index] for index in np.triu_indices(len(compared), 1))
    others = pdist(levels[compared])[second - first > 1]  # in the same order
    usual = float(np.median(others))
    alike = stats.mannwhitneyu(neighbors, others, alternative="less").pvalue
    if ends >= _P_VALUE and not (alike < _P_VALUE and np.median(neighbors) <= _NEAR_EQUAL * usual):
        return []
    near = neighbors <= _NEAR_EQUAL * usual
    if not near.any():  # spectra do not tell files apart, but the ends do
        near[:] = True
    bounds = np.flatnonzero(np.diff(near, prepend=False, append=False)).reshape(-1, 2)
    return [range(start, end + 1) for start, end in bounds.tolist()]


def _natural_key(name: str) -> list[tuple[bool, int, str]]:
    """Order names by the numbers in them: clip 2 before clip 10."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split("([0-9]+)", name)]


def _prediction(samples: np.ndarray) -> np.ndarray:
    """Return the error filter [`_ORDER` + 1] of linear prediction, less its first 1, and the log of its power."""
    lags = [samples[: len(samples) - lag] @ samples[lag:] / len(samples) for lag in range(_ORDER + 1)]
    if not lags[0] > 0:
        return np.full(_ORDER + 1, np.nan)
    lags[0] *= 1 + 1e-6  # pure tones have no other solution
    weights = solve_toeplitz(lags[:-1], lags[1:])
    return np.append(-weights, np.log(max(lags[0] - weights @ lags[1:], 1e-12 * lags[0])))


def _spectrum(waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and low quantile over time of the level in `_BANDS` equal bands, in dB."""
    starts = np.unique(np.linspace(0, len(waveform) - _FFT_SIZE, _MOST_FRAMES).astype(np.int64))
    frames = waveform[starts[:, None] + np.arange(_FFT_SIZE)].astype(np.float64)
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(_FFT_SIZE), axis=1)))[:, 1:]
    levels = 10 * np.log10(power.reshape(len(power), _BANDS, -1).mean(axis=2) + 1e-12)
    return levels.mean(axis=0), np.quantile(levels, _FLOOR_QUANTILE, axis=0)


def _log_error(parts: tuple[np.ndarray, ...], first: int, second: int) -> float:
    """Log of the error of predicting the head of a file from the tail of another, in units of the error within them.

    The larger one of the predictions that fit the first and the second file.
    """
    head, tail, head_model, tail_model = parts
    seam = np.concatenate([tail[first], head[second]])
    errors = []
    for model in (tail_model[first], head_model[second]):
        error = np.convolve(seam, np.append(1.0, model[:-1]))[_ORDER : 2 * _ORDER]
        errors.append(np.log(np.square(error).mean() + 1e-30) - model[-1])
    return float(max(errors))
