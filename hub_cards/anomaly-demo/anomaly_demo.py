"""What the demo computes: verdict and events of a clip, the spread of its references, and synthetic clips to try."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.audio import SAMPLING_RATE, read_audio
from modeling_retainmix.data.factory import FactoryConfig
from modeling_retainmix.data.factory.catalogue import MACHINE_TYPES
from modeling_retainmix.data.factory.plan import planned_tables, synthesize
from modeling_retainmix.detection.events import Event
from modeling_retainmix.detection.judgement import Judgement, ThresholdBasis
from modeling_retainmix.reports.spectrogram import log_mel_db

EXAMPLES = [
    (machine_type.name, fault) for machine_type in MACHINE_TYPES["validation"] for fault in ("", *machine_type.faults)
]
FIRST_EXAMPLE = ("reduction_gear", "squeal")  # heard at once, and found
HARD_EXAMPLES = {  # below 1.5 times the threshold of 10 %
    ("hydraulic_slide", "cavitation"),
    ("hydraulic_slide", "rattle"),
    ("label_printer", "imbalance"),
    ("piston_pump", "looseness"),
    ("reduction_gear", "imbalance"),
}
EXAMPLE_REFERENCES = 20
# One test clip with each of the five faults of a type.
EXAMPLE_CONFIG = FactoryConfig(version=3, source_references=EXAMPLE_REFERENCES, target_references=1, tests_per_cell=5)


@dataclass(frozen=True)
class Detection:
    """What the page shows of a test clip.

    Attributes:
        name: of the clip's file.
        judgement: score, p-value, threshold and verdict.
        basis: what the threshold rests on.
        events: where the clip leaves the references, strongest first.
        waveform: [samples] of the clip at 16 kHz.
        healthy: [samples] of the first reference.
        levels: [128] median over time of the clip's log-mel levels in dB.
        reference_levels: [references, 128] the same of every reference.
        is_levelled: clips are compared at one level, and `levels` are those less their mean.
    """

    name: str
    judgement: Judgement
    basis: ThresholdBasis
    events: list[Event]
    waveform: np.ndarray
    healthy: np.ndarray
    levels: np.ndarray
    reference_levels: np.ndarray
    is_levelled: bool


def load_encoder() -> AnomalyDetector:
    """Return a detector without references: of the encoder `RETAINMIX_MODEL`, else of the one in the package."""
    name = os.environ.get("RETAINMIX_MODEL")
    return AnomalyDetector.from_pretrained(name) if name else AnomalyDetector.from_pretrained()


def detect(
    encoder: AnomalyDetector, references: Sequence[str] | None, test: str | None, false_alarm_rate: float = 0.1
) -> Detection:
    """Judge a clip against reference clips; several channels are averaged.

    Args:
        encoder: a loaded detector, whose references stay as they are: visitors of the page share it.
        references: sound files of the healthy machine.
        test: sound file to judge.
        false_alarm_rate: share of normal clips that may be called anomalous, between 0 and 1.

    Raises:
        ValueError: no test clip, no reference, or a file that cannot be read; the message names the file without the
            folder in which it was stored.
    """
    if not references:
        raise ValueError("add recordings of the healthy machine: twenty of them make a good start")
    if test is None:
        raise ValueError("add a test clip")
    model, settings = encoder.embedder.model, encoder.settings
    detector = AnomalyDetector(model, encoder.embedder.feature_extractor, settings, encoder.embedder.device)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of few references: the page says so
            detector.fit(list(references), channel="mean")
            (judgement,) = detector.judge(test, channel="mean", false_alarm_rate=false_alarm_rate)
            basis = detector.threshold_basis(false_alarm_rate)
            (events,) = detector.events(test, channel="mean")
        waveform, *others = (read_audio(path, channel="mean") for path in (test, *references))
    except (FileNotFoundError, ValueError) as error:
        message = str(error)
        for path in map(Path, (*references, test)):
            message = message.replace(str(path), path.name)
        raise ValueError(message) from error
    is_levelled = not detector.embedder.hears_level
    levels, *reference_levels = (median_levels(clip, is_levelled) for clip in (waveform, *others))
    common = (levels, np.stack(reference_levels), is_levelled)
    return Detection(Path(test).name, judgement, basis, events, waveform, others[0], *common)


def median_levels(waveform: np.ndarray, is_levelled: bool) -> np.ndarray:
    """Return the median over time of the log-mel levels of [samples] at 16 kHz in dB: [128].

    Args:
        waveform: of the clip.
        is_levelled: take their mean away.
    """
    levels: np.ndarray = np.median(log_mel_db(waveform), axis=0)
    return levels - levels.mean() if is_levelled else levels


def example_clips(machine: str, fault: str, folder: str | os.PathLike[str]) -> tuple[list[str], str]:
    """Write clips of a synthetic machine, which no training run hears.

    Args:
        machine: type, one of those in `EXAMPLES`.
        fault: of the test clip; "" for a healthy machine.
        folder: to write to; files of the same names are replaced.

    Returns:
        Paths of the reference clips and of the test clip.
    """
    clips = [
        clip
        for clip in planned_tables(EXAMPLE_CONFIG, ["validation"])["validation_machines"]
        if clip.row["machine_type"] == machine and clip.row["domain"] == "source"
    ]
    references = [clip for clip in clips if clip.row["split"] == "train"]
    test = next(clip for clip in clips if clip.row["split"] == "test" and clip.row["fault"] == fault)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{machine}_reference_{index:02d}.wav" for index in range(len(references))]
    paths = [str(folder / name) for name in (*names, f"{machine}_{fault or 'healthy'}.wav")]
    for path, samples in zip(paths, synthesize([*references, test], EXAMPLE_CONFIG), strict=True):
        soundfile.write(path, samples, SAMPLING_RATE, subtype="PCM_16")
    return paths[:-1], paths[-1]


def example_label(machine: str, fault: str) -> str:
    """Name an example, and say if it is a hard one."""
    hard = " (a hard one)" if (machine, fault) in HARD_EXAMPLES else ""
    return f"{machine.replace('_', ' ').capitalize()}: {fault.replace('_', ' ') or 'healthy'}{hard}"
