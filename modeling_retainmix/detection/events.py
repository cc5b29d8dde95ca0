"""Events of a clip: where in time and frequency its level leaves what the references do, in words.

A cell of the level map is compared with its band's median, both the clip's own and that of the references, in units of
how far the references' cells lie from their medians: what passes both happens at a time. The clip's median itself is
compared with the references' medians: that finds what lasts. By how much a whole clip is louder is taken away before,
and is an event of all bands where the detector hears the level. How far is too far follows from the references, each
against the others.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from modeling_retainmix.audio import SAMPLING_RATE, AudioSource
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.level_cells import CELL, band_edges, cell_seconds, cell_statistics, real_cells
from modeling_retainmix.detection.windows import Windows

# Chosen on validation machines of other seeds than those of the figures in docs/detector.md.
EVENT_RATE = 0.02  # of normal clips in which each of the three rules (louder, quieter, lasting) may find an event
_LEAST_STRENGTH = 4.0  # standard deviations, whatever the references say

_CONNECTED = 0.5  # of the limit: weaker cells do not connect others
_EDGE = 0.25  # of the strongest cell of an event: its box ends where the deviation falls below
_INSIDE_SLOPE = 0.95  # of half a sampling rate: where no filter attenuates yet
_FEWEST_RECORDINGS = 4  # from which the spread of their largest deviations is taken
_SPREAD_FLOOR = 0.25  # of the median band's spread: a pure tone has next to none
_EULER = 0.5772156649


@dataclass(frozen=True)
class Event:
    """A part of a clip that is louder or quieter than usual.

    Attributes:
        start_seconds, end_seconds: in the clip.
        low_hz, high_hz: its band.
        strength: of its strongest cell, in standard deviations of the references; positive where the clip has more
            energy, negative where it has less.
        lasts: it is a shift of the median of a clip, or of a window of a longer one, so it lasts for more than half
            of it, or a gain of the clip. Else it is an event in time, beyond the median of the references and that
            of the clip, both after the gain was taken away.
        is_whole_clip: it is a shift in all windows of the clip.
    """

    start_seconds: float
    end_seconds: float
    low_hz: float
    high_hz: float
    strength: float
    lasts: bool
    is_whole_clip: bool

    @property
    def sentence(self) -> str:
        """The event in plain English."""
        more, above = ("more", "above") if self.strength > 0 else ("less", "below")
        what = f"{more} energy from {_frequencies(self.low_hz, self.high_hz)}"
        size = f"{abs(self.strength):.1f} standard deviations {above} the references"
        if self.is_whole_clip:
            return f"{what[0].upper()}{what[1:]} through most of the clip, {size}"
        return f"{self.end_seconds - self.start_seconds:.2g} s of {what}, {size}, at {self.start_seconds:.2f} s"


class LevelRule(NamedTuple):
    """What references say of levels, band by band, and how strong an event has to be.

    Attributes:
        size: frames and mel bins of a cell.
        heard: [B] bool, bands that are read; a clip's gain is taken away of them (`_gains`).
        center: [B] mean of the recordings' medians.
        center_scale: [B] standard deviation of a further recording's median.
        spread: [B] standard deviation of cells about their window's median.
        typical_spread: that of the median band.
        gain_center, gain_scale: mean of the recordings' gains, and standard deviation of a further one's.
        hears_level: whether a gain is an event.
        limits: [3] least strength of events that are louder, quieter or lasting, in a clip of one window.
        growth: [3] of the limits with the logarithm of the number of windows.
    """

    size: int
    heard: np.ndarray
    center: np.ndarray
    center_scale: np.ndarray
    spread: np.ndarray
    typical_spread: float
    gain_center: float
    gain_scale: float
    hears_level: bool
    limits: np.ndarray
    growth: np.ndarray

    def limits_of(self, num_windows: int) -> np.ndarray:
        """Return the limits [3] of a clip of so many windows."""
        return self.limits + self.growth * np.log(num_windows)


def level_rule(
    tensors: Mapping[str, torch.Tensor], recordings: np.ndarray, patch_size: int, hears_level: bool = True
) -> LevelRule:
    """Learn from references what levels are usual.

    The median of a band has the variance of the recordings' medians, to which the median band's spread is added as
    one more observation: with one reference, it is all that is known. Limits are those that the largest deviation of
    a recording, measured against the others, exceeds at `EVENT_RATE`, by a Gumbel distribution with the mean and
    variance of theirs, but at least 4. With fewer than 4 recordings, or where the extremes were not kept, they are 4.

    Args:
        tensors: `cell_levels` [n, B, 4], and `level_moments` [n, F, 2] for detectors that were saved without cells:
            then cells are patches, and means stand for medians.
        recordings: [n] the recording of each window; copies have one number.
        patch_size: frames and mel bins of a patch.
        hears_level: whether the gain of a whole clip is an event. It is taken away of all bands in any case.
    """
    statistics, size = tensors["cell_levels"].double().numpy(), CELL
    if np.isnan(statistics).any():
        mean, square = tensors["level_moments"].double().numpy().transpose(2, 0, 1)
        unknown = np.full_like(mean, np.nan)
        statistics, size = np.stack([mean, np.maximum(square - mean**2, 0), unknown, unknown], axis=2), patch_size
        hears_level = False  # these are what the encoder hears, at one level
    _, recording, counts = np.unique(recordings, return_inverse=True, return_counts=True)
    heard: np.ndarray = np.any(statistics[:, :, 1] > 0, axis=0)  # bands that are not read never change
    levels = statistics[:, :, 0].copy()
    center = _means(levels, recording, counts).mean(axis=0)
    statistics[:, :, 0] -= _gains(levels - center, heard, hears_level)[:, None] * heard
    medians, squares = (_means(statistics[:, :, column], recording, counts) for column in (0, 1))
    count = len(counts)
    spread = np.sqrt(squares.mean(axis=0))
    typical = float(np.median(spread[spread > 0])) if (spread > 0).any() else 1.0
    center = medians.mean(axis=0)
    scatter = np.square(medians - center).sum(axis=0)
    gains = _gains(levels - center, heard, hears_level)
    mean_gains = _means(gains[:, None], recording, counts)[:, 0]
    gain_center = float(mean_gains.mean())
    gain_scatter = np.square(mean_gains - gain_center).sum()
    limits, growth = np.full(3, _LEAST_STRENGTH), np.zeros(3)
    if count >= _FEWEST_RECORDINGS:
        # Each recording against the others, in closed form.
        others_spread = _floored(np.sqrt((squares.sum(axis=0) - squares).clip(min=0) / (count - 1)), typical)
        others_center = (count * center - medians) / (count - 1)
        others_scatter = (scatter - np.square(medians - center) * count / (count - 1)).clip(min=0)
        others_scale = _scale(others_scatter, typical, count - 1)
        others_gain = (count * gain_center - mean_gains) / (count - 1)
        others_gain_scatter = gain_scatter - np.square(mean_gains - gain_center) * count / (count - 1)
        others_gain_scale = _scale(others_gain_scatter.clip(min=0), typical, count - 1)
        gain_strength = np.abs(gains - others_gain[recording]) / others_gain_scale[recording] * hears_level
        lasting = np.abs(statistics[:, :, 0] - others_center[recording]) / others_scale[recording]
        strengths = (
            statistics[:, :, 3] / others_spread[recording],
            -statistics[:, :, 2] / others_spread[recording],
            np.column_stack([lasting, gain_strength]),
        )
        for index, strength in enumerate(strengths):
            if not np.isnan(strength).any():
                largest = np.full(count, -np.inf)
                np.maximum.at(largest, recording, strength.max(axis=1))
                limits[index], growth[index] = _gumbel_limit(largest, float(np.mean(counts)))
    scale, spread = _scale(scatter, typical, count), _floored(spread, typical)
    gain = typical, gain_center, float(_scale(gain_scatter, typical, count)), hears_level
    return LevelRule(size, heard, center, scale, spread, *gain, limits, growth)


def find_events(
    source: AudioSource,
    embedder: Embedder,
    windows: Windows,
    rule: LevelRule,
    batch_size: int,
    reference_rates: np.ndarray,
) -> list[Event]:
    """Find the events of a clip, strongest first.

    Of a clip longer than a window, each cell is judged in the window whose middle is nearest. Above what the
    files of clip and references can both hold there are none: that is the recorder's.

    Args:
        source: the clip, [samples] at 16 kHz once loaded.
        embedder: whose features are compared; its encoder does not run.
        windows: how to cut the clip.
        rule: of the references.
        batch_size: windows that are computed at once.
        reference_rates: [references] sampling rates of their files in Hz, NaN where unknown.

    Raises:
        FileNotFoundError, ValueError: the clip cannot be read or is too short.
    """
    waveform = source.process(source.load())
    pieces = replace(windows, pad=False).cut(waveform, SAMPLING_RATE)
    embedder.check_length(len(pieces[0][1]), source.name)
    edges = band_edges(len(rule.center), embedder.model.config.num_mel_bins)
    is_inside = edges[1:] <= _common_band(source, reference_rates)
    rule = rule._replace(heard=rule.heard & is_inside)
    starts, above, below, shifts, gains = _level_map(pieces, embedder, rule, batch_size)
    end = (pieces[-1][0] + len(pieces[-1][1])) / SAMPLING_RATE
    for deviations in (above, below, shifts):
        deviations[:, ~is_inside] = 0
    louder, quieter, lasting = rule.limits_of(len(pieces)).tolist()
    boxes = [
        *((box, False) for box in merged_cells(above, louder)),
        *((box._replace(strength=-box.strength), False) for box in merged_cells(below, quieter)),
        *((box, True) for box in merged_cells(shifts, lasting)),
        *((box._replace(strength=-box.strength), True) for box in merged_cells(-shifts, lasting)),
    ]
    bands = np.flatnonzero(rule.heard)
    if rule.hears_level and len(bands):
        all_bands = {"first_band": int(bands[0]), "last_band": int(bands[-1])}
        boxes += [(box._replace(**all_bands), True) for box in merged_cells(gains, lasting)]
        boxes += [(box._replace(strength=-box.strength, **all_bands), True) for box in merged_cells(-gains, lasting)]
    events = []
    for box, lasts in boxes:
        ends = box.last_row == len(starts) - 1
        event_end = end if ends else min(float(starts[box.last_row]) + cell_seconds(rule.size), end)
        events.append(
            Event(
                float(starts[box.first_row]),
                event_end,
                float(edges[box.first_band]),
                float(edges[box.last_band + 1]),
                box.strength,
                lasts,
                lasts and ends and box.first_row == 0,
            )
        )
    return sorted(events, key=lambda event: -abs(event.strength))


def _common_band(source: AudioSource, reference_rates: np.ndarray) -> float:
    """Return the highest frequency in Hz that a clip and any of its references may have."""
    origin, known = source.describe(), reference_rates[~np.isnan(reference_rates)]
    rates = [math.inf if origin is None else origin.sampling_rate, known.max() if len(known) else math.inf]
    return _INSIDE_SLOPE * float(min(rates)) / 2 if min(rates) < SAMPLING_RATE else math.inf


class Box(NamedTuple):
    """The smallest box around the cells of an event, and the largest deviation in it; the last ones are in it."""

    first_row: int
    last_row: int
    first_band: int
    last_band: int
    strength: float


def merged_cells(deviations: np.ndarray, limit: float) -> list[Box]:
    """Merge neighboring cells to events.

    Cells above half the limit that touch, also at a corner, belong together; they are an event if one of them reaches
    the limit. Its box holds those of at least a quarter of the largest deviation among them.

    Args:
        deviations: [T, B].
        limit: above 0.
    """
    labels, count = ndimage.label(deviations >= _CONNECTED * limit, structure=np.ones((3, 3)))
    boxes = []
    for label, place in enumerate(ndimage.find_objects(labels, count), 1):
        values = np.where(labels[place] == label, deviations[place], -np.inf)
        strongest = float(values.max())
        if strongest < limit:
            continue
        rows, bands = np.nonzero(values >= _EDGE * strongest)
        rows, bands = rows + place[0].start, bands + place[1].start
        boxes.append(Box(int(rows.min()), int(rows.max()), int(bands.min()), int(bands.max()), strongest))
    return boxes


def _level_map(
    pieces: Sequence[tuple[int, np.ndarray]], embedder: Embedder, rule: LevelRule, batch_size: int
) -> tuple[np.ndarray, ...]:
    """Map a clip: starts of its rows in seconds [T]; how far cells lie above and below, and shifts of the median, in
    standard deviations, [T, B] each; and those of the gain [T, 1].
    """
    first = np.asarray([start for start, _ in pieces]) / SAMPLING_RATE
    length = len(pieces[0][1]) / SAMPLING_RATE
    borders = np.concatenate([[-np.inf], (first[1:] + first[:-1] + length) / 2, [np.inf]])
    parts = []
    for at in range(0, len(pieces), batch_size):
        waveforms = torch.from_numpy(np.stack([window for _, window in pieces[at : at + batch_size]]))
        cells = real_cells(embedder.cells(waveforms, rule.size), waveforms.shape[1], rule.size).cpu()
        medians = cell_statistics(cells)[:, :, 0].double().numpy()
        gains = _gains(medians - rule.center, rule.heard, rule.hears_level)
        louder = gains[:, None] * rule.heard
        levels = zip(cells.double().numpy() - louder[:, None], medians - louder, gains - rule.gain_center, strict=True)
        for index, (window, median, gain) in enumerate(levels, at):
            starts = first[index] + np.arange(len(window)) * cell_seconds(rule.size)
            middles = starts + cell_seconds(rule.size) / 2
            kept = (middles >= borders[index]) & (middles < borders[index + 1])
            # A short clip says less of its median: the second term is the variance of that of normal values.
            of_median = np.pi / 2 / len(window)
            scale = np.sqrt(rule.center_scale**2 + of_median * rule.spread**2)
            gain_scale = np.sqrt(rule.gain_scale**2 + of_median * rule.typical_spread**2)
            shift = (median - rule.center) / scale
            above = (window[kept] - np.maximum(median, rule.center)) / rule.spread
            below = (np.minimum(median, rule.center) - window[kept]) / rule.spread
            gain_shift = np.full((len(above), 1), gain / gain_scale)
            parts.append((starts[kept], above, below, np.broadcast_to(shift, above.shape), gain_shift))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _gains(deviations: np.ndarray, heard: np.ndarray, hears_level: bool) -> np.ndarray:
    """Return the gain of windows whose medians deviate by [n, B] from the references': [n].

    Where the level is heard, it is what three quarters of the bands share, so that a hiss in half of them is no gain.
    Where it is not, nothing tells a gain from what most bands do: it is their median. (An encoder's level, a mean,
    would move with every event.)
    """
    if not heard.any():
        return np.zeros(len(deviations))
    low, middle, high = np.quantile(deviations[:, heard], [0.25, 0.5, 0.75], axis=1)
    gains: np.ndarray = np.clip(0.0, low, high) if hears_level else middle
    return gains


def _means(values: np.ndarray, recording: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Average windows [n, B] of each recording: [recordings, B]."""
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, recording, values)
    return sums / counts[:, None]


def _floored(spread: np.ndarray, typical: float) -> np.ndarray:
    floored: np.ndarray = np.maximum(spread, _SPREAD_FLOOR * typical)
    return floored


def _scale(scatter: np.ndarray, typical: float, count: int) -> np.ndarray:
    scale: np.ndarray = np.sqrt((typical**2 + scatter) / count * (1 + 1 / count))
    return scale


def _gumbel_limit(largest: np.ndarray, windows_per_recording: float) -> tuple[float, float]:
    """Return what a window's largest deviation exceeds at `EVENT_RATE`, and its growth with the log of windows."""
    scale = float(largest.std(ddof=1)) * np.sqrt(6) / np.pi
    location = float(largest.mean()) - _EULER * scale - scale * np.log(windows_per_recording)
    return max(location - scale * float(np.log(-np.log1p(-EVENT_RATE))), _LEAST_STRENGTH), scale


def _frequencies(low: float, high: float) -> str:
    if low >= 1000:
        return f"{low / 1000:.1f} to {high / 1000:.1f} kHz"
    if high < 1000:
        return f"{low:.0f} to {high:.0f} Hz"
    return f"{low:.0f} Hz to {high / 1000:.1f} kHz"
