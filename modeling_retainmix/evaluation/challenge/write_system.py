"""From the challenge's folders to the folder of a system: both data sets are scored, and a submission is written."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from modeling_retainmix.data.layouts.dcase_sections import FAR_CHANNEL, NEAR_CHANNEL
from modeling_retainmix.data.recordings import read_recordings
from modeling_retainmix.detection.detector import AnomalyDetector
from modeling_retainmix.detection.settings import Microphones
from modeling_retainmix.detection.windows import ClipScore
from modeling_retainmix.evaluation.challenge.submission import SubmittedSystem, write_submission
from modeling_retainmix.evaluation.challenge.system_scores import official_columns, score_data_set
from modeling_retainmix.evaluation.results import read_results
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score
from modeling_retainmix.stoppable_csv import OutputError

FALSE_ALARM_RATE = 0.1  # of the decisions


def read_system(path: str | os.PathLike[str]) -> SubmittedSystem:
    """Read what only the team knows from a YAML file with the fields of `SubmittedSystem`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is no YAML, or has other fields.
    """
    try:
        return SubmittedSystem(**yaml.safe_load(Path(path).read_text(encoding="utf-8")))
    except (TypeError, yaml.YAMLError) as error:
        raise ValueError(f"{path} is not a valid description of a system: {error}") from error


def default_channels(
    year: int, microphones: Microphones, channel: Any = None, far_channel: Any = None
) -> dict[str, Any]:
    """Return the channels to read, in 2026 by default those of the data sets.

    Args:
        year: of the challenge.
        microphones: of the detector.
        channel, far_channel: what the user wants; None: the default.
    """
    near, far = (NEAR_CHANNEL, FAR_CHANNEL) if year == 2026 else (None, None)
    channels = {"channel": near if channel is None else channel}
    if microphones != "near" or far_channel is not None:
        channels["far_channel"] = far if far_channel is None else far_channel
    return channels


def write_system(
    output_dir: str | os.PathLike[str],
    system: SubmittedSystem,
    year: int,
    model: str | os.PathLike[str],
    development: str | os.PathLike[str],
    evaluation: str | os.PathLike[str],
    settings: Mapping[str, Any],
    channels: Mapping[str, Any],
    on_score: Callable[[str, ClipScore], None],
) -> tuple[Path, list[str], dict[str, Any]]:
    """Score both data sets with a model and write the folder of a system, which is validated.

    Args:
        output_dir: root of the submission package.
        system: what only the team knows.
        year: of the challenge, 2023 to 2026: its machine types have one section each.
        model: checkpoint folder with the `results.json` of its training.
        development: folder of the development set, with labels in its names.
        evaluation: folder of the evaluation set and its training clips.
        settings: of the detector.
        channels: of `default_channels`.
        on_score: called with the path and the score of each test as soon as it is known.

    Returns:
        The system's folder, what is still wrong with it or missing from it, and the official score and its parts on
        the development set, as `dcase_score` returns them.

    Raises:
        FileNotFoundError, ValueError: a data set or the model cannot be read or does not fit.
        OutputError: the folder cannot be written.
    """
    results = read_results(Path(model) / "results.json")
    detector = AnomalyDetector.from_pretrained(model, **settings)
    known, _ = score_data_set(detector, read_recordings(development), channels, None, on_score)
    official = dcase_score(**official_columns(known))
    clips, by_section = score_data_set(detector, read_recordings(evaluation), channels, FALSE_ALARM_RATE, on_score)
    named = clips | {"file_name": [Path(path).name for path in clips["path"].tolist()]}
    thresholds = {machine_type: threshold for (machine_type, _), threshold in by_section.items()}
    try:
        folder, problems = write_submission(
            output_dir, system, year, named, thresholds, detector.settings, results, official
        )
    except OSError as error:
        raise OutputError(f"{output_dir} cannot be written ({error.strerror})") from error
    return folder, problems, official
