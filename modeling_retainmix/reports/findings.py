"""Everything that a report says of recordings, as data."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from modeling_retainmix.audio import SAMPLING_RATE, AudioSource
from modeling_retainmix.audio_files import SHOWN_FILES, find_recordings, shown_name
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.events import Event
from modeling_retainmix.detection.inputs import clip_sources
from modeling_retainmix.detection.judgement import Judgement, ThresholdBasis
from modeling_retainmix.detection.recording_health import Finding
from modeling_retainmix.detection.vector_layout import describe_blocks
from modeling_retainmix.encoders import LogMelModel

EXCERPT_SECONDS = 10.0


@dataclass(frozen=True)
class Detail:
    """What is shown and played of one recording: an excerpt around the window with the highest score.

    Attributes:
        seconds: length of the recording.
        start_seconds: where the excerpt begins; it is `EXCERPT_SECONDS` long, or as long as the recording.
        recorded: float32 [samples] at 16 kHz, the excerpt as it was recorded.
        heard: float32 [samples] at 16 kHz, what the encoder hears of it: the same, or what is left when the far
            microphone has been subtracted.
        events: of the whole recording, strongest first.
        highest_hz: that the recording can hold: half of its sampling rate, in Hz.
    """

    seconds: float
    start_seconds: float
    recorded: np.ndarray
    heard: np.ndarray
    events: tuple[Event, ...]
    highest_hz: float = SAMPLING_RATE / 2

    @property
    def end_seconds(self) -> float:
        """Where the excerpt ends."""
        return self.start_seconds + len(self.recorded) / SAMPLING_RATE


@dataclass(frozen=True)
class RecordingFindings:
    """What is to be said of one recording.

    Attributes:
        name: below the folder that was given, or the path that was given.
        judgement: score, p-value, threshold and verdict.
        problems: what is wrong with the recording itself, or unlike the references for no fault of the machine.
        detail: None: not shown, because others are more anomalous.
    """

    name: str
    judgement: Judgement
    problems: tuple[Finding, ...]
    detail: Detail | None


@dataclass(frozen=True)
class Findings:
    """What is to be said of all recordings.

    Attributes:
        recordings: those that can be read, most anomalous first: by how far each score lies above the threshold for
            its length; where there are no thresholds, by p-value, then by score.
        unreadable: why others cannot be read, a sentence each, which names the file.
        basis: what thresholds rest on.
        has_groups: whether recording sessions are named.
        num_references: recordings that the detector remembers.
        hears_level: whether a change of the loudness alone can be noticed.
        max_frequency: in Hz; what is higher is not heard.
        model: the encoder and what is read of it, in words.
        settings: of the detector, {name: value}.
    """

    recordings: tuple[RecordingFindings, ...]
    unreadable: tuple[str, ...]
    basis: ThresholdBasis
    has_groups: bool
    num_references: int
    hears_level: bool
    max_frequency: float
    model: str
    settings: dict[str, Any]

    @property
    def num_anomalous(self) -> int:
        """How many recordings are above their threshold; 0 where the references are too few for a verdict."""
        return sum(recording.judgement.is_anomalous is True for recording in self.recordings)

    @property
    def has_verdicts(self) -> bool:
        """Whether the references suffice for the rate of false alarms."""
        return self.basis.num_missing == 0


def collect_findings(
    detector: AnomalyDetector,
    recordings: Any,
    channel: int | str | None = None,
    far: Any = None,
    far_channel: int | str | None = None,
    false_alarm_rate: float = 0.1,
    max_details: int = 20,
) -> Findings:
    """Judge recordings, examine them, and find the events of the most anomalous ones.

    Args:
        detector: with references.
        recordings: a file, a folder, or a list of them.
        channel: what to take of files with several channels: an index from 0, or "mean".
        far, far_channel: the files of the far microphone, or its channel, for detectors with two microphones.
        false_alarm_rate: share of normal recordings that may be called anomalous.
        max_details: so many recordings have a `Detail`.

    Raises:
        FileNotFoundError: a file or folder does not exist.
        ValueError: none of the recordings can be read, as `AnomalyDetector.judge`, or `max_details` is below 0.
    """
    if max_details < 0:
        raise ValueError(f"max_details={max_details} is below 0: use the number of recordings to show in detail")
    basis = detector.threshold_basis(false_alarm_rate)  # before anything is read: there may be no references
    files, problems = _listed(recordings)
    if not files:
        raise _none_readable(problems)
    shown = {shown_name(path): name for path, name in files.items()}
    unreadable = list(problems)
    sources = clip_sources(detector.settings.microphones, list(files), None, channel, far, far_channel)
    near = sources if detector.settings.microphones == "cancel" else clip_sources("near", list(files), None, channel)
    judgements = detector.judge(
        sources, false_alarm_rate=false_alarm_rate, on_error=lambda error: unreadable.append(_renamed(error, shown))
    )
    order = sorted(
        (index for index, judgement in enumerate(judgements) if judgement.num_windows),
        key=lambda index: _rank(judgements[index]),
    )
    if not order:
        raise _none_readable(unreadable)
    detailed = order[:max_details]
    details = {
        index: _detail(detector, near[index], judgements[index])
        for index in tqdm(detailed, desc="finding events", unit="clip", disable=None)
    }
    paths = list(files)
    health = detector.recording_health([paths[index] for index in order], channel=channel)
    found = tuple(
        RecordingFindings(files[paths[index]], judgements[index], tuple(examined.problems), details.get(index))
        for index, examined in zip(order, health, strict=True)
    )
    return Findings(
        recordings=found,
        unreadable=tuple(sorted(unreadable)),
        basis=basis,
        has_groups=detector._fitted().notes.has_groups,
        num_references=len(detector.reference_names),
        hears_level=detector.embedder.hears_level,
        max_frequency=detector.settings.max_frequency or SAMPLING_RATE / 2,
        model=_describe_model(detector),
        settings=detector.settings.to_dict(),
    )


def _rank(judgement: Judgement) -> tuple[float, float]:
    """Order judgements, the most anomalous first.

    A p-value alone would not do: that of a long recording is bounded from below by its length, whatever its score.
    """
    if judgement.is_anomalous is None:
        return float(np.nan_to_num(judgement.p_value, nan=1.0)), -judgement.score
    return 0.0, judgement.threshold - judgement.score


def _listed(recordings: Any) -> tuple[dict[Path, str], list[str]]:
    """Return the files with the names that the report gives them, and why others cannot be read.

    Names are those below the folder that was given; of several files or folders, below the one that holds them all.
    """
    given = [Path(one) for one in ([recordings] if isinstance(recordings, (str, os.PathLike)) else recordings)]
    found = find_recordings(given)
    files, causes = found.files, found.problems
    is_folder = len(given) == 1 and given[0].is_dir()
    root = os.path.abspath(given[0]) if is_folder else _common_folder([*files, *causes])

    def below(path: Path) -> str:
        return shown_name(os.path.relpath(os.path.abspath(path), root)) if root else shown_name(path)

    return {path: below(path) for path in files}, [f"{below(path)} {cause}" for path, cause in causes.items()]


def _common_folder(paths: Sequence[Path]) -> str | None:
    """Return the folder that holds all files; None: there are none, or they are on different drives."""
    try:
        return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    except ValueError:
        return None


def _renamed(error: Exception, shown: dict[str, str]) -> str:
    """Return the message of an error about a file, with the name that the report gives it."""
    message = str(error)
    longest = max((path for path in shown if path in message), key=len, default="")
    return message.replace(longest, shown[longest]) if longest else message


def _none_readable(problems: Sequence[str]) -> ValueError:
    more = [f"and {len(problems) - SHOWN_FILES} more"] if len(problems) > SHOWN_FILES else []
    causes = "; ".join([*problems[:SHOWN_FILES], *more])
    return ValueError(f"there is nothing to report, as no recording can be read: {causes or 'none was given'}")


def _detail(detector: AnomalyDetector, source: AudioSource, judgement: Judgement) -> Detail:
    """Load a recording and cut the excerpt around the window with the highest score."""
    recorded = source.load()
    heard = source.process(recorded)
    length = round(EXCERPT_SECONDS * SAMPLING_RATE)
    windows = detector.settings.windows
    middle = judgement.start_seconds + min(windows.window_seconds, len(recorded) / SAMPLING_RATE) / 2
    start = round(middle * SAMPLING_RATE) - length // 2
    start = max(min(start, len(recorded) - length), 0)
    (events,) = detector.events([source])
    origin = source.describe()
    return Detail(
        len(recorded) / SAMPLING_RATE,
        start / SAMPLING_RATE,
        recorded[start : start + length].copy(),  # not the whole recording, which may be hours
        heard[start : start + length].copy(),
        tuple(events),
        SAMPLING_RATE / 2 if origin is None else origin.sampling_rate / 2,
    )


def _describe_model(detector: AnomalyDetector) -> str:
    """Name the encoder, without the folder that it was loaded from, or say that there is none."""
    model, layers = detector.embedder.model, detector.embedder.layers
    read = describe_blocks(layers)
    if isinstance(model, LogMelModel):  # whose layer 0 they are
        return f"{read.replace('layer 0', 'log-mel statistics')} (no encoder)"
    if not detector.embedder.indices:
        return f"{read} (no encoder)"
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{model.config.model_type} ({count / 1e6:.1f} million parameters): {read}"
