"""What the demo computes: score, threshold and explanation of a test clip, and synthetic clips to try."""

import os
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
from modeling_retainmix.detection.explanation import Explanation

LOCAL_MODEL = Path(__file__).parents[1] / "retainmix-beats-tiny"
HUB_MODEL = "org/retainmix-beats-tiny"
EXAMPLES = [
    (machine_type.name, fault) for machine_type in MACHINE_TYPES["validation"] for fault in ("", *machine_type.faults)
]
EXAMPLE_REFERENCES = 20
# One test clip with each of the five faults of a type.
EXAMPLE_CONFIG = FactoryConfig(version=3, source_references=EXAMPLE_REFERENCES, target_references=1, tests_per_cell=5)


@dataclass(frozen=True)
class Detection:
    """What the page shows of a test clip.

    Attributes:
        score: distance to the references.
        threshold: the score above which the clip is called anomalous.
        references: number of reference clips.
        false_alarm_rate: share of normal clips which may lie above the threshold.
        waveform: [samples] of the clip at 16 kHz.
        explanation: where it deviates.
    """

    score: float
    threshold: float
    references: int
    false_alarm_rate: float
    waveform: np.ndarray
    explanation: Explanation

    @property
    def summary(self) -> str:
        """The result in words, Markdown."""
        verdict = "Anomalous" if self.score > self.threshold else "Normal"
        lines = [f"## {verdict}", f"Score **{self.score:.4f}**, threshold **{self.threshold:.4f}**."]
        reachable = 1 / (self.references + 1)
        if self.false_alarm_rate < reachable:
            lines.append(
                f"{self.references} references are too few for a false-alarm rate below {reachable:.0%}: add "
                f"references for one of {self.false_alarm_rate:.0%}."
            )
        return "\n\n".join(lines)


def model_name() -> str:
    """The encoder: `RETAINMIX_MODEL` where it is set, else the one beside this folder, else the one on the Hub."""
    return os.environ.get("RETAINMIX_MODEL") or (str(LOCAL_MODEL) if LOCAL_MODEL.is_dir() else HUB_MODEL)


def detect(
    encoder: AnomalyDetector, references: Sequence[str] | None, test: str | None, false_alarm_rate: float = 0.1
) -> Detection:
    """Score a clip against reference clips; several channels are averaged.

    Args:
        encoder: a loaded detector, whose references stay as they are: visitors of the page share it.
        references: sound files of the healthy machine, at least three.
        test: sound file to judge.
        false_alarm_rate: share of normal clips that may be called anomalous, between 0 and 1.

    Raises:
        ValueError: no test clip, too few references, or a file that cannot be read; the message names the file
            without the folder in which it was stored.
    """
    if not references or len(references) < 3:
        raise ValueError("add at least three reference clips: the threshold comes from comparing each with the others")
    if test is None:
        raise ValueError("add a test clip")
    model, settings = encoder.embedder.model, encoder.settings
    detector = AnomalyDetector(model, encoder.embedder.feature_extractor, settings, encoder.embedder.device)
    try:
        detector.fit(list(references), channel="mean")
        score = float(detector.score(test, channel="mean")[0])
        (explanation,) = detector.explain(test, channel="mean")
    except (FileNotFoundError, ValueError) as error:
        message = str(error)
        for path in map(Path, (*references, test)):
            message = message.replace(str(path), path.name)
        raise ValueError(message) from error
    waveform = read_audio(test, channel="mean")
    num_windows = settings.windows.count(len(waveform), SAMPLING_RATE)
    threshold = detector.threshold(false_alarm_rate, num_windows=num_windows)
    return Detection(score, threshold, len(references), false_alarm_rate, waveform, explanation)


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
