"""In which traits recordings differ from all references, and what to do about it."""

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.recording_traits import CODINGS, FULL_BAND, Traits
from modeling_retainmix.detection.windows import Windows

# What counts as different. A trait has to lie outside all references by these factors or distances.
_LENGTH_FACTOR = 2.0
_BAND_FACTOR = 1.25
_LEVEL_DISTANCE = 20.0  # dB
_CLIPPED_SHARE = 0.01
_LOW_CUT_DISTANCE, _LOW_CUT = 10.0, 15.0  # dB; a fall of less than the second one is the machine's
_EMPTY_FACTOR, _EMPTY_SHARE = 2.0, 0.01

_LEAST_OF_LENGTH = 0.1  # of the shortest reference: what is shorter is no length to cut all others to
_COMMON_BAND = 0.85  # of the lowest bandwidth: below the slope of its filter
_LOWEST_BAND, _SHORTEST_WINDOW = 500.0, 0.01  # Hz and s, the least that the settings of a detector take
_SHOWN_FILES = 3


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
        The message, a sentence for each trait with what to do; None: nothing differs.
    """
    found = find_differences(traits, reference_traits, windows, max_frequency)
    if not found:
        return None
    rows = np.flatnonzero(np.any([difference.rows for difference in found], axis=0)).tolist()
    folder, short = _below_folder([names[row] for row in rows])
    shown = dict(zip(rows, short, strict=True))
    alike: dict[tuple[str, bytes], list[TraitDifference]] = {}  # one sentence of what one measure settles
    for difference in found:
        alike.setdefault((difference.advice(), difference.rows.tobytes()), []).append(difference)
    subject = "1 clip differs" if len(rows) == 1 else f"{len(rows)} clips differ"
    where = f" (in {folder})" if folder else ""
    sentences = [
        f"{subject} from all references in how recordings were made, and may score high for that alone{where}"
    ]
    for (advice, _), differences in alike.items():
        files = _listed([shown[row] for row in np.flatnonzero(differences[0].rows).tolist()])
        fact = "; ".join(difference.fact() for difference in differences)
        sentences.append(f"{fact[0].upper()}{fact[1:]} ({files}): {advice}")
    return ". ".join(sentences)


class TraitDifference(NamedTuple):
    """A trait in which tests lie outside all references.

    Attributes:
        trait: field of `Traits`.
        rows: [tests] bool, the tests that do.
        values: [tests], as they are compared.
        references: [references with a known value], likewise.
        windows: of the detector.
        common_band: in Hz, up to which all tests and references hold sound; None: another rate or bandwidth does not
            keep them from being compared.
    """

    trait: str
    rows: np.ndarray
    values: np.ndarray
    references: np.ndarray
    windows: Windows
    common_band: float | None

    def fact(self, row: int | None = None) -> str:
        """Say what one of the tests has, and what the references have; None: all tests that differ."""
        span = _span(self.trait, self._of(row))
        return f"{TRAIT_LABELS[self.trait]} {span}, references {_span(self.trait, self.references)}"

    def advice(self, row: int | None = None) -> str:
        """Say what to do about one of the tests; None: about all that differ."""
        match self.trait:
            case "bandwidth" | "sampling_rate" if self.common_band is not None:
                option = f"max_frequency={self.common_band:g}"
                return f"to compare what all hold, {_refit(option)}"
            case "seconds":
                return self._advice_on_length(self._of(row))
        return _ADVICE[self.trait]

    def _of(self, row: int | None) -> np.ndarray:
        return self.values[self.rows] if row is None else self.values[[row]]

    def _advice_on_length(self, seconds: np.ndarray) -> str:
        windows, advice = self.windows, []
        shortest = float(f"{max(seconds.min(), _SHORTEST_WINDOW):.3g}")
        if seconds.min() < _LEAST_OF_LENGTH * self.references.min():
            advice.append("leave out what is too short to hear the machine, or record it again")
        elif seconds.min() < self.references.min() and shortest < windows.window_seconds:
            options = [f"window_seconds={shortest:g}"]
            if windows.hop_seconds > shortest:
                options.append(f"hop_seconds={shortest:g}")
            advice.append(f"to cut references to that length, {_refit(*options)}")
        if seconds.max() > self.references.max() and windows.reduce == "max":
            advice.append(
                "take the threshold for that length, as `retainmix score` and decide do (threshold(num_windows=) in "
                "Python)"
            )
        return "; ".join(advice) or _ADVICE["seconds"]


def find_differences(
    traits: np.ndarray, reference_traits: np.ndarray, windows: Windows, max_frequency: float | None = None
) -> list[TraitDifference]:
    """Find the traits of tests that lie outside those of all references; arguments as in `describe_differences`."""
    tests, references = (_compared(values, windows, max_frequency) for values in (traits, reference_traits))
    found = []
    for index, trait in enumerate(Traits._fields):
        known, column = references[~np.isnan(references[:, index]), index], tests[:, index]
        differs = _differs(trait, column, known) if len(known) else np.zeros(len(tests), dtype=bool)
        if differs.any():
            found.append(TraitDifference(trait, differs, column, known, windows, None))
    common_band = _common_band(found)
    return [difference._replace(common_band=common_band) for difference in found]


TRAIT_LABELS = {
    "sampling_rate": "sampling rate",
    "channels": "channels",
    "seconds": "length",
    "bandwidth": "bandwidth",
    "clipped_share": "clipped samples",
    "level": "level",
    "coding": "file format",
    "low_cut": "loss of low frequencies",
    "empty_share": "share without sound",
}

_ADVICE = {
    "sampling_rate": "record all at one sampling rate",
    "channels": "take one channel of all, such as channel=0 (--channel 0 on the command line)",
    "seconds": "record all equally long",
    "bandwidth": "record all with one recorder and one sampling rate",
    "clipped_share": "turn the recording gain down",
    "level": "record all with one gain, and the microphone in one place",
    "coding": "use all files as the recorder wrote them, or convert all in one way, the references too",
    "low_cut": "use one low-cut (high-pass or wind) filter for all, or none",
    "empty_share": "look for pauses, filters and strong compression, such as that of MP3, and record all in one way",
}


def _refit(*settings: str) -> str:
    options = " ".join(f"--setting {setting}" for setting in settings)
    return f"fit again with {', '.join(settings)} (retainmix fit ... {options})"


def _common_band(found: Sequence[TraitDifference]) -> float | None:
    """Return the frequency in Hz up to which to compare recordings of unlike rates and bandwidths, one for all."""
    limits = []
    for difference in found:
        lowest = float(min(difference.values[difference.rows].min(), difference.references.min()))
        if difference.trait == "bandwidth":
            limits.append(lowest)
        elif difference.trait == "sampling_rate" and lowest < SAMPLING_RATE:
            limits.append(lowest / 2)
    band = 100.0 * math.floor(_COMMON_BAND * min(limits, default=0) / 100)
    return band if band >= _LOWEST_BAND else None


def _below_folder(names: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the folder that holds all files, and their names below it; None: none does, or they are no files."""
    try:
        folder = os.path.commonpath([os.path.dirname(name) for name in names])
    except ValueError:  # some are named from the root on, others are not
        folder = ""
    if len(folder) < 2:  # the root says nothing
        return None, list(names)
    return folder, [os.path.relpath(name, folder) for name in names]


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN_FILES
    return ", ".join(names[:_SHOWN_FILES]) + (f" and {rest} more" if rest > 0 else "")


def _compared(values: np.ndarray, windows: Windows, max_frequency: float | None) -> np.ndarray:
    """Traits as they are compared: without what the detector does not read."""
    values = np.array(values, dtype=np.float64)
    rate, seconds, bandwidth, empty = (
        Traits._fields.index(name) for name in ("sampling_rate", "seconds", "bandwidth", "empty_share")
    )
    if max_frequency is not None:
        values[values[:, rate] >= 2 * max_frequency, rate] = np.nan  # whatever it is, the common band is in it
        values[:, empty] = np.nan  # the cells may lie above
        values[:, bandwidth] = np.minimum(values[:, bandwidth], max_frequency)
    if windows.reduce == "first":
        values[:, seconds] = np.minimum(values[:, seconds], windows.window_seconds)
    return values


def _differs(trait: str, values: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Which values lie outside all references, [tests] bool; NaN does not."""
    low, high = references.min(), references.max()
    match trait:
        case "sampling_rate" | "channels" | "coding":
            return ~np.isnan(values) & ~np.isin(values, references)
        case "seconds":
            return (values < low / _LENGTH_FACTOR) | (values > high * _LENGTH_FACTOR)
        case "bandwidth":
            has_edge = (values < FULL_BAND) & (low >= FULL_BAND)
            has_none = (values >= FULL_BAND) & (high < FULL_BAND)
            return has_edge | has_none | (values < low / _BAND_FACTOR) | (values > high * _BAND_FACTOR)
        case "clipped_share":
            return values > high + _CLIPPED_SHARE
        case "low_cut":
            more = (values >= _LOW_CUT) & (values > high + _LOW_CUT_DISTANCE)
            return more | ((low >= _LOW_CUT) & (values < low - _LOW_CUT_DISTANCE))
        case "empty_share":
            more = values > _EMPTY_FACTOR * high + _EMPTY_SHARE
            return more | (_EMPTY_FACTOR * values + _EMPTY_SHARE < low)
    return (values < low - _LEVEL_DISTANCE) | (values > high + _LEVEL_DISTANCE)


def _span(trait: str, values: np.ndarray) -> str:
    if trait == "coding":
        return ", ".join(CODINGS[int(number)][0] for number in np.unique(values))
    scale, form, unit = {
        "sampling_rate": (1, ".0f", " Hz"),
        "channels": (1, ".0f", ""),
        "seconds": (1, ".3g", " s"),
        "bandwidth": (1, ".0f", " Hz"),
        "clipped_share": (100, ".2g", " %"),
        "level": (1, ".0f", " dB"),
        "low_cut": (1, ".0f", " dB"),
        "empty_share": (100, ".2g", " %"),
    }[trait]
    low, high = format(scale * values.min(), form), format(scale * values.max(), form)
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"
