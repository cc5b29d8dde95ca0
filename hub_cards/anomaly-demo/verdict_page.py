"""The verdict on a clip as HTML: badge, scores, picture with events, player, levels. It needs no other file."""

import base64
import math
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from anomaly_demo import Detection
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.events import Event
from modeling_retainmix.reports import figures, spectrogram, wording
from modeling_retainmix.reports.page import flac

SHOWN_SECONDS = 30.0  # of longer clips, around the window with the highest score
MARKED = 10  # events of each kind that are listed and marked in the picture
_BEFORE = 10.0  # seconds of them before that window
_LOUDEST = 0.9  # of full scale, the largest sample of both players


class Mark(NamedTuple):
    """An event in the picture, in percent of it."""

    left: float
    top: float
    width: float
    height: float


class Line(NamedTuple):
    """An event in the list: its number, the event, and its mark; None: it lies outside of the picture."""

    number: int
    event: Event
    mark: Mark | None
    start: float

    @property
    def is_more(self) -> bool:
        """Whether the clip has more energy there than the references."""
        return self.event.strength > 0


class Strip(NamedTuple):
    """Scores on a strip, in percent: references, threshold and the clip; None: there is no threshold."""

    references: list[float]
    threshold: float | None
    clip: float
    ticks: list[figures.Tick]


class Levels(NamedTuple):
    """Levels over frequency, in percent of the chart: points of the references' range and of the clip."""

    spread: str
    clip: str
    frequency_ticks: list[figures.Tick]
    level_ticks: list[figures.Tick]


def verdict_page(detection: Detection) -> str:
    """Return the verdict on a clip as HTML, with pictures and sound inside."""
    start, stop = shown_part(detection)
    clip = detection.waveform[start:stop]
    pictured = spectrogram.log_mel_db(clip)
    seconds = spectrogram.picture_seconds(pictured)
    peak = max(float(np.abs(sound).max()) for sound in (clip, detection.healthy)) or 1.0
    picture = spectrogram.log_mel_png(pictured, *spectrogram.color_range([pictured]))
    lines = event_lines(detection.events, start / SAMPLING_RATE, seconds)
    return _template("verdict.html").render(
        detection=detection,
        judgement=detection.judgement,
        basis=detection.basis,
        verdict=wording.verdict_word(detection.judgement),
        verdict_sentence=wording.verdict_sentence(detection.judgement, detection.basis),
        where=where_and_when(detection),
        number=wording.number,
        p_value=wording.p_value_text(detection.judgement.p_value),
        strip=score_strip(detection),
        picture=base64.b64encode(picture).decode(),
        players=[
            base64.b64encode(flac(sound * np.float32(_LOUDEST / peak))).decode() for sound in (clip, detection.healthy)
        ],
        gain_db=20 * math.log10(_LOUDEST / peak),
        start_seconds=start / SAMPLING_RATE,
        end_seconds=stop / SAMPLING_RATE,
        is_whole=stop - start == len(detection.waveform),
        time_ticks=figures.time_ticks(start / SAMPLING_RATE, seconds),
        frequency_ticks=frequency_ticks(250, 500, 1000, 2000, 4000),
        events=[line for line in lines if not line.event.lasts],
        shifts=[line for line in lines if line.event.lasts],
        num_unmarked=len(detection.events) - len(lines),
        levels=level_chart(detection),
    )


def error_page(message: str) -> str:
    """Return what is shown in the place of a verdict where there is none because of an error."""
    return _template("error.html").render(message=message)


def hint_page() -> str:
    """Return what is shown where nothing has been judged."""
    return _template("waiting.html").render(message="Press “Score”: the verdict appears here.")


def waiting_page() -> str:
    """Return what is shown while a clip is judged."""
    return _template("waiting.html").render(message="Comparing the recording with the references …")


def shown_part(detection: Detection) -> tuple[int, int]:
    """Return the first sample of the clip that is shown, and the one behind the last."""
    total, length = len(detection.waveform), round(SHOWN_SECONDS * SAMPLING_RATE)
    start = round((detection.judgement.start_seconds - _BEFORE) * SAMPLING_RATE)
    start = max(min(start, total - length), 0)
    return start, min(start + length, total)


def where_and_when(detection: Detection) -> str:
    """Say in a sentence or two where in time and frequency the clip leaves its references."""
    events, is_anomalous = detection.events, detection.judgement.is_anomalous
    if not events:
        if is_anomalous is False:
            return "No time and no band stands out from the references."
        return "No single time or band stands out from the references: what differs, differs a little in many places."
    strongest = [next((e for e in events if e.lasts is lasts), None) for lasts in (False, True)]
    found = sorted((event for event in strongest if event), key=lambda event: -abs(event.strength))
    return " ".join(f"{event.sentence}." for event in found)


def event_lines(events: list[Event], start_seconds: float, seconds: float) -> list[Line]:
    """List the strongest events of each kind with their marks in a picture of so many seconds from `start_seconds`."""
    kinds = ([event for event in events if event.lasts is lasts][:MARKED] for lasts in (False, True))
    chosen = sorted((event for kind in kinds for event in kind), key=lambda event: -abs(event.strength))
    lines = []
    for number, event in enumerate(chosen, 1):
        left, right = (
            min(max((at - start_seconds) / seconds, 0.0), 1.0) for at in (event.start_seconds, event.end_seconds)
        )
        bottom, top = (spectrogram.frequency_share(hertz) for hertz in (event.low_hz, event.high_hz))
        places = (left, 1 - top, right - left, top - bottom)
        mark = Mark(*(round(100 * place, 2) for place in places)) if left < right else None
        lines.append(Line(number, event, mark, max(event.start_seconds - start_seconds, 0.0)))
    return lines


def score_strip(detection: Detection) -> Strip:
    """Place the scores of the clip and of its references on one axis."""
    judgement = detection.judgement
    references = detection.basis.scores(judgement.num_windows)
    threshold = None if judgement.is_anomalous is None else judgement.threshold
    known = [judgement.score, *([] if threshold is None else [threshold])]
    axis = figures.ScoreAxis.of(np.concatenate([known, references]))
    return Strip(
        figures.reference_places(axis, references),
        None if threshold is None else axis.place(threshold),
        axis.place(judgement.score),
        axis.ticks(),
    )


def level_chart(detection: Detection) -> Levels:
    """Draw the range of the references' median levels and those of the clip over frequency."""
    low, high = detection.reference_levels.min(axis=0), detection.reference_levels.max(axis=0)
    bottom = min(float(low.min()), float(detection.levels.min())) - 2
    top = max(float(high.max()), float(detection.levels.max())) + 2
    across = np.linspace(0, 100, len(low))

    def points(levels: np.ndarray) -> list[str]:
        up = 100 * (top - levels) / (top - bottom)
        return [f"{x:.2f},{y:.2f}" for x, y in zip(across, up, strict=True)]

    values = figures.round_values(bottom, top, 5)
    return Levels(
        " ".join([*points(high), *reversed(points(low))]),
        " ".join(points(detection.levels)),
        [tick._replace(place=100 - tick.place) for tick in frequency_ticks(125, 500, 1000, 2000, 4000)],
        [figures.Tick(round(100 * (top - value) / (top - bottom), 2), f"{value:g}") for value in values],
    )


def frequency_ticks(*hertz: int) -> list[figures.Tick]:
    """Return marks at frequencies in Hz, in percent from the top of a picture."""
    return [
        figures.Tick(
            round(100 * (1 - spectrogram.frequency_share(one)), 2), f"{one} Hz" if one < 1000 else f"{one // 1000} kHz"
        )
        for one in hertz
    ]


@cache
def _template(name: str) -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
