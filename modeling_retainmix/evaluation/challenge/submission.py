"""A submission to DCASE Task 2: scores, decisions and meta information of a system, and their validation."""

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from modeling_retainmix.atomic import moved_into
from modeling_retainmix.csv_files import write_rows
from modeling_retainmix.data.layouts.challenge_csv import Part, read_table
from modeling_retainmix.detection.backends.build import BACKENDS
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import describe_blocks
from modeling_retainmix.evaluation.challenge.result_files import (
    DECISION_PREFIX,
    SCORE_PREFIX,
    group_by_part,
)

_MACHINES = {
    2021: "ToyCar ToyTrain fan gearbox pump slider valve",
    2022: "ToyCar ToyTrain bearing fan gearbox slider valve",
    2023: "ToyDrone ToyNscale ToyTank Vacuum bandsaw grinder shaker",
    2024: "3DPrinter AirCompressor BrushlessMotor HairDryer HoveringDrone RoboticArm Scanner ToothBrush ToyCircuit",
    2025: "AutoTrash BandSealer CoffeeGrinder HomeCamera Polisher ScrewFeeder ToyPet ToyRCCar",
    2026: "BlowerDustCollector Sander SewingMachine ToothBrush ToyDrone",
}
_IDS_2020 = dict.fromkeys(("fan", "pump", "slider", "valve"), "01 03 05") | {
    "ToyCar": "05 06 07",
    "ToyConveyor": "04 05 06",
}
_LABEL = re.compile(r"[A-Za-z]+_[A-Za-z-]+_task2_[1-4]")
_META_KEYS = {
    "submission": ("label", "name", "abbreviation", "authors"),
    "system": ("description", "complexity", "external_datasets", "source_code"),
    "results": ("development_dataset",),
}
_AUTHOR_KEYS = ("firstname", "lastname", "email", "affiliation")


@dataclass(frozen=True)
class SubmittedSystem:
    """What only the submitting team knows.

    Attributes:
        label: `<last name>_<institute>_task2_<1 to 4>`; names the folder and the files.
        name: shown in the results.
        abbreviation: the same in at most 10 characters.
        authors: in order, each with `firstname`, `lastname`, `email` and `affiliation` (a mapping with `institution`,
            `department` and `location`); one of them also with `corresponding: True`.
        external_datasets: data beside the challenge's, each with `name` and `url`.
        source_code: address of the code, or None.
    """

    label: str
    name: str
    abbreviation: str
    authors: Sequence[Mapping[str, Any]]
    external_datasets: Sequence[Mapping[str, str]] = ()
    source_code: str | None = None


def write_submission(
    output_dir: str | os.PathLike,
    system: SubmittedSystem,
    year: int,
    clips: Mapping[str, Any],
    thresholds: float | Mapping[str, float],
    settings: DetectorSettings,
    results: Mapping[str, Any],
    development: Mapping[str, Any],
    expected: Mapping[Part, int | None] | None = None,
) -> tuple[Path, list[str]]:
    """Write the folder of one system, `task2/<label>/`, and validate it.

    Its files are written aside and take their places at the end, so that an interruption leaves no half of them.

    Args:
        output_dir: root of the submission package.
        system: label, name and authors.
        year: of the challenge.
        clips: table of the evaluation set's test clips, columns `file_name`, `machine_type`, `section`, `score` (and
            `domain` for 2021); a `datasets.Dataset` or a mapping of sequences.
        thresholds: one threshold, or one per machine type; a clip is decided anomalous if its score is strictly above.
        settings: of the detectors that gave the scores.
        results: content of the training run's `results.json`: it describes the encoder.
        development: what `dcase_score` returned on the development set.
        expected: the files to validate against with their numbers of clips; None: the official evaluation set.

    Returns:
        The system's folder, and what is still wrong with it or missing from it (at least the technical report).

    Raises:
        ValueError: `normalization` is "test": such scores depend on the other test clips, which the challenge forbids;
            a column is missing, a clip has no finite score, or a machine type no threshold; or the label, a machine
            type or a section breaks the naming rules.
    """
    if settings.normalization == "test":
        raise ValueError(
            "scores normalised by the test clips are not allowed in the challenge: score again with "
            "normalization='references'"
        )
    if not _LABEL.fullmatch(system.label):
        raise ValueError(f"the label {system.label!r} is not <last name>_<institute>_task2_<1 to 4>")
    parts = group_by_part(clips, year)
    for part in parts:
        if not re.fullmatch(r"\w+", part.machine_type) or not re.fullmatch(r"\d+", part.section):
            raise ValueError(
                f"machine type {part.machine_type!r}, section {part.section!r}: both become part of file names, use "
                "letters, digits and _ in the one and digits in the other"
            )
    if not isinstance(thresholds, Mapping):
        thresholds = dict.fromkeys((part.machine_type for part in parts), thresholds)
    for part in parts:
        if year > 2020 and part.machine_type not in thresholds:
            raise ValueError(f"machine {part.machine_type!r} has no threshold among {sorted(thresholds)}")
    names, scores = list(clips["file_name"]), list(clips["score"])
    if len(scores) != len(names):
        raise ValueError(f"{len(names)} clips have {len(scores)} scores: give each clip one")
    for name, machine, score in zip(names, clips["machine_type"], scores, strict=True):
        if score is None or not math.isfinite(score):
            raise ValueError(f"{name} of machine {machine!r} has the score {score}: every clip needs a finite one")
    folder = Path(output_dir) / "task2" / system.label
    text = yaml.safe_dump(_meta(system, results, development, settings), sort_keys=False, allow_unicode=True)
    with moved_into(folder) as staging:
        for part, rows in parts.items():
            write_rows(staging / f"{SCORE_PREFIX}_{part.stem(year)}.csv", [(names[row], scores[row]) for row in rows])
            if year > 2020:
                decisions = [(names[row], int(scores[row] > thresholds[part.machine_type])) for row in rows]
                write_rows(staging / f"{DECISION_PREFIX}_{part.stem(year)}.csv", decisions)
        (staging / f"{system.label}.meta.yaml").write_text(text, encoding="utf-8")
    return folder, validate_submission(folder, year, expected)


def validate_submission(
    folder: str | os.PathLike, year: int, expected: Mapping[Part, int | None] | None = None
) -> list[str]:
    """Check the folder of one system against the rules of its year.

    Args:
        folder: `.../task2/<label>`.
        year: of the challenge.
        expected: the files that must be there with their numbers of clips (None: any number); by default those of the
            official evaluation set.

    Returns:
        Every problem in one line that names the file; empty if there is none.

    Raises:
        FileNotFoundError: the folder does not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist")
    problems = []
    if not _LABEL.fullmatch(folder.name):
        problems.append(f"{folder.name}: the folder's name must be <last name>_<institute>_task2_<1 to 4>")
    problems += _meta_problems(folder)
    if not (folder / f"{folder.name}.technical_report.pdf").is_file():
        problems.append(f"{folder.name}.technical_report.pdf is missing")
    problems += _table_problems(folder, year, official_parts(year) if expected is None else expected)
    return problems


def official_parts(year: int) -> dict[Part, int | None]:
    """Return the files of a year's evaluation set and their numbers of test clips (None where they vary)."""
    if year == 2020:
        return {Part(machine, section): None for machine, ids in _IDS_2020.items() for section in ids.split()}
    if year not in _MACHINES:
        raise ValueError(f"year must be from 2020 to {max(_MACHINES)}, got {year}")
    sections = ("03", "04", "05") if year < 2023 else ("00",)
    domains = ("source", "target") if year == 2021 else (None,)
    count = None if year == 2021 else 200
    return {
        Part(machine, section, domain): count
        for machine in _MACHINES[year].split()
        for section in sections
        for domain in domains
    }


def _meta(
    system: SubmittedSystem, results: Mapping[str, Any], development: Mapping[str, Any], detector: DetectorSettings
) -> dict[str, Any]:
    settings, model = results["settings"], results["model"]

    def trained(name: str) -> str:
        """Return a setting of the training; a mean of weights may have one of each of its parts."""
        if name in settings:
            return str(settings[name])
        return " or ".join(dict.fromkeys(str(part["differs"].get(name)) for part in model.get("average_of") or ()))

    layer = model["embedding_layer"] if detector.layer is None else detector.layer
    read = describe_blocks(layer if isinstance(layer, tuple) else (layer,))
    backend = BACKENDS[detector.backend]
    between_domains = [
        *(["statistics of the references"] if detector.normalization == "references" else []),
        *(["MemMixup"] if detector.memmixup_neighbors is not None else []),
    ]
    figures = ("auc_source", "auc_target", "pauc")
    return {
        "submission": {
            "label": system.label,
            "name": system.name,
            "abbreviation": system.abbreviation,
            "authors": [dict(author) for author in system.authors],
        },
        "system": {
            "description": {
                "input_sampling_rate": "16kHz",
                "data_augmentation": (
                    f"noise mixed at {trained('snr_db')} dB, SpecAugment (time {trained('time_mask_width')} frames, "
                    f"frequency {trained('frequency_mask_width')} bands)"
                ),
                "front_end": "far channel subtracted in the STFT domain" if detector.microphones == "cancel" else None,
                "acoustic_features": "log-mel energies",
                "embeddings": f"{model['name']}, {read}",
                "machine_learning_method": backend.method,
                "aggregation_method": "average",
                "domain_generalization_method": ", ".join(between_domains) or None,
                "ensemble_method_subsystem_count": backend.num_subsystems
                * (2 if detector.microphones == "fusion" else 1),
                "decision_making": "threshold from normal reference clips",
                "external_data_usage": "pre-trained model" if model["base_model"] else "simulation of machine sounds",
                "num_neighbors": detector.k if backend.uses_neighbors else None,
            },
            "complexity": {"total_parameters": model["num_parameters"]},
            "external_datasets": [dict(dataset) for dataset in system.external_datasets],
            "source_code": system.source_code,
        },
        "results": {
            "development_dataset": {
                machine: {name: round(100 * values[name], 2) for name in figures}
                for machine, values in development["machines"].items()
            }
        },
    }


def _meta_problems(folder: Path) -> list[str]:
    name = f"{folder.name}.meta.yaml"
    try:
        meta = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return [f"{name} is missing"]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [f"{name} is not valid YAML: {str(error).splitlines()[0]}"]
    missing = [
        f"{name} lacks {group}.{key}"
        for group, keys in _META_KEYS.items()
        for key in keys
        if not isinstance(meta, dict) or not isinstance(meta.get(group), dict) or key not in meta[group]
    ]
    if missing:
        return missing
    problems = []
    submission = meta["submission"]
    if submission["label"] != folder.name:
        problems.append(f"{name}: the label {submission['label']!r} is not the folder's name")
    if not 1 <= len(str(submission["abbreviation"])) <= 10:
        problems.append(f"{name}: the abbreviation {submission['abbreviation']!r} must have 1 to 10 characters")
    authors = submission["authors"] if isinstance(submission["authors"], list) else []
    for index, author in enumerate(authors):
        lacking = [key for key in _AUTHOR_KEYS if not (isinstance(author, dict) and author.get(key))]
        problems += [f"{name}: author {index + 1} lacks {key}" for key in lacking]
    corresponding = sum(bool(isinstance(author, dict) and author.get("corresponding")) for author in authors)
    if corresponding != 1:
        problems.append(f"{name}: {corresponding} authors are marked `corresponding`, one must be")
    return problems


def _table_problems(folder: Path, year: int, expected: Mapping[Part, int | None]) -> list[str]:
    problems: list[str] = []
    tables = {prefix: _readable_tables(folder, prefix, year, problems) for prefix in (SCORE_PREFIX, DECISION_PREFIX)}
    scores, decisions = tables.values()
    if year == 2020:  # which had no decisions
        del tables[DECISION_PREFIX]
    for prefix, by_part in tables.items():
        for part in expected:
            if not (folder / f"{prefix}_{part.stem(year)}.csv").is_file():
                problems.append(f"{prefix}_{part.stem(year)}.csv is missing")
        for part, table in by_part.items():
            name = f"{prefix}_{part.stem(year)}.csv"
            if part not in expected:
                problems.append(f"{name} is not part of the evaluation set of {year}")
            elif expected[part] not in (None, len(table)):
                problems.append(f"{name} has {len(table)} clips, the evaluation set {expected[part]}")
            wrong = [clip for clip in table if not re.fullmatch(_clip_name(part, year), clip)]
            if wrong:
                problems.append(f"{name} holds {wrong[0]}, which is not a clip of the evaluation set of {year}")
    for part, table in decisions.items():
        name = f"{DECISION_PREFIX}_{part.stem(year)}.csv"
        problems += [
            f"{name}: {clip} has {value:g}, not 0 or 1" for clip, value in table.items() if value not in (0, 1)
        ]
        if part in scores and set(scores[part]) != set(table):
            clip = min(set(scores[part]) ^ set(table))
            problems.append(f"{name} and {SCORE_PREFIX}_{part.stem(year)}.csv hold different clips: {clip}")
    return problems


def _readable_tables(folder: Path, prefix: str, year: int, problems: list[str]) -> dict[Part, dict[str, float]]:
    """Read the tables of one prefix; what cannot be read is added to the problems."""
    tables = {}
    for path in sorted(folder.glob(f"{prefix}_*.csv")):
        part = Part.parse(path.stem.removeprefix(f"{prefix}_"), year)
        try:
            if part is None:
                problems.append(f"{path.name} breaks the naming rule of {year}")
            else:
                tables[part] = read_table(path)
        except ValueError as error:
            problems.append(str(error))
    return tables


def _clip_name(part: Part, year: int) -> str:
    """Return the pattern of the names of a part's test clips."""
    if year == 2020:
        return rf"id_{part.section}_\d{{8}}\.wav"
    if year == 2021:
        return rf"section_{part.section}_{part.domain}_test_\d{{4}}\.wav"
    return rf"section_{part.section}_\d{{4}}\.wav"
