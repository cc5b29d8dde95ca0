"""Findings as one HTML page that needs nothing but a browser: pictures, players, style and script are inside."""

import base64
import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile as sf
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modeling_retainmix.atomic import whole_file
from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.recording_health import Finding
from modeling_retainmix.reports import figures, spectrogram, wording
from modeling_retainmix.reports.findings import EXCERPT_SECONDS, Detail, Findings, collect_findings

_TEMPLATES = Path(__file__).parent / "templates"
_LOUDEST = 0.9  # of full scale, the largest sample of all players


def write_report(
    detector: AnomalyDetector,
    recordings: Any,
    output: str | os.PathLike[str],
    *,
    channel: int | str | None = None,
    far: Any = None,
    far_channel: int | str | None = None,
    false_alarm_rate: float = 0.1,
    max_details: int = 20,
    title: str = "Report on machine sounds",
) -> Findings:
    """Write one HTML page on recordings: verdicts, ranking, pictures with marked events, and players.

    The page loads nothing else, also not from the network. The most anomalous recordings are shown in detail, each
    with a picture and a player of at most 10 s around its highest score, which take at most 0.6 MB; in the table a
    recording takes about 1 kB. So with `max_details=20` a page of 1000 recordings has at most 13 MB.

    Args:
        detector: with references.
        recordings: a file, a folder, or a list of them. Those that cannot be read are listed on the page.
        output: file to write; one that exists is replaced when the page is whole.
        channel: what to take of files with several channels: an index from 0, or "mean".
        far, far_channel: the files of the far microphone, or its channel, for detectors with two microphones.
        false_alarm_rate: share of normal recordings that may be called anomalous. With too few references for it
            there is a ranking without verdicts.
        max_details: so many recordings are shown in detail.
        title: of the page.

    Returns:
        What the page says.

    Raises:
        FileNotFoundError: a file or folder does not exist.
        ValueError: the output cannot be written, which is found before any recording is read; none of the recordings
            can be read; or as `AnomalyDetector.judge`.
    """
    if Path(output).is_dir():
        raise ValueError(f"{output} is a folder: give the name of a file, such as {Path(output) / 'report.html'}")
    with ExitStack() as stack:
        with _named_errors(output):
            temporary = stack.enter_context(whole_file(output))
            temporary.touch()
        options = (channel, far, far_channel, false_alarm_rate, max_details)
        findings = collect_findings(detector, recordings, *options)
        page = render(findings, title, datetime.now().astimezone())
        with _named_errors(output):
            temporary.write_text(page, encoding="utf-8")
            stack.close()
    return findings


@contextmanager
def _named_errors(output: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{output} cannot be written ({error.strerror}): free the disk, or give another name"
        ) from error


def render(findings: Findings, title: str, created: datetime) -> str:
    """Return the page.

    Args:
        findings: what it says.
        title: of the page.
        created: when it was made.
    """
    shown = [recording.detail for recording in findings.recordings if recording.detail is not None]
    levels = [spectrogram.log_mel_db(detail.heard) for detail in shown]
    colors = spectrogram.color_range(levels)
    peak = max((float(np.abs(detail.recorded).max()) for detail in shown), default=1.0) or 1.0
    media = iter([_media(detail, each, colors, _LOUDEST / peak) for detail, each in zip(shown, levels, strict=True)])
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=title,
            created=created,
            version=version("retainmix"),
            findings=findings,
            basis=findings.basis,
            rows=[(recording, recording.detail and next(media)) for recording in findings.recordings],
            num_shown=len(shown),
            excerpt_seconds=EXCERPT_SECONDS,
            gain_db=20 * np.log10(_LOUDEST / peak),
            range_db=colors[1] - colors[0],
            distribution=figures.Distribution(findings),
            problems=_by_problem(findings),
            frequency_ticks=figures.frequency_ticks(),
            wording=wording,
        )
    )


class _Media(NamedTuple):
    """What a detail holds: picture and player in base64, the marks of the picture, and its events as boxes."""

    picture: str
    player: str
    time_ticks: list[figures.Tick]
    boxes: list[figures.Box]


def _media(detail: Detail, levels: np.ndarray, colors: tuple[float, float], gain: float) -> _Media:
    seconds = spectrogram.picture_seconds(levels)
    return _Media(
        base64.b64encode(spectrogram.log_mel_png(levels, *colors)).decode(),
        base64.b64encode(flac(detail.recorded * np.float32(gain))).decode(),
        figures.time_ticks(detail.start_seconds, seconds),
        figures.event_boxes(detail, seconds),
    )


def flac(waveform: np.ndarray) -> bytes:
    """Return float32 [samples] at 16 kHz as a FLAC file of 16 bits."""
    file = io.BytesIO()
    sf.write(file, waveform, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


class _Problem(NamedTuple):
    """What is wrong with several recordings: a heading with what to do, and what was found of which.

    Attributes:
        heading: of all.
        cases: (name of a recording, what was found of it); nothing is said of each where the heading says it of all.
    """

    heading: str
    cases: list[tuple[str, str]]


def _by_problem(findings: Findings) -> list[_Problem]:
    """Group recordings by what was measured and what to do about it, the most frequent problem first."""
    groups: dict[tuple[str, str], list[tuple[str, Finding]]] = {}
    for recording in findings.recordings:
        for problem in recording.problems:
            groups.setdefault((problem.measure, problem.advice), []).append((recording.name, problem))
    found = []
    for cases in sorted(groups.values(), key=lambda cases: -len(cases)):
        first = cases[0][1]
        if all(problem.fact == first.fact for _, problem in cases):
            found.append(_Problem(first.sentence, [(name, "") for name, _ in cases]))
        else:
            heading = f"{first.label[0].upper()}{first.label[1:]}" + (f": {first.advice}" if first.advice else "")
            found.append(_Problem(heading, [(name, problem.fact) for name, problem in cases]))
    return found


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
