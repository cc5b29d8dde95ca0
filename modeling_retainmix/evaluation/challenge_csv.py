"""The CSV files of DCASE Task 2: anomaly scores and decisions of a system, ground truth, and the score of the two."""

import csv
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from modeling_retainmix.metrics.dcase_score import dcase_score

SCORE_PREFIX = "anomaly_score"
DECISION_PREFIX = "decision_result"
_DOMAINS = {0: "source", 1: "target"}


class Part(NamedTuple):
    """What one file is about: a section of a machine type; the domain is part of file names in 2021 only."""

    machine_type: str
    section: str
    domain: str | None = None

    def stem(self, year: int) -> str:
        """The part of the year's file names that follows the prefix, such as `fan_section_00_test`."""
        if year == 2020:
            return f"{self.machine_type}_id_{self.section}"
        if year == 2021:
            return f"{self.machine_type}_section_{self.section}_{self.domain}_test"
        return f"{self.machine_type}_section_{self.section}_test"

    @classmethod
    def parse(cls, stem: str, year: int) -> "Part | None":
        """The inverse of `stem`; None where the name breaks the year's rule."""
        pattern = {
            2020: r"(?P<machine_type>.+)_id_(?P<section>\d+)",
            2021: r"(?P<machine_type>.+)_section_(?P<section>\d+)_(?P<domain>source|target)_test",
        }.get(year, r"(?P<machine_type>.+)_section_(?P<section>\d+)_test")
        match = re.fullmatch(pattern, stem)
        return None if match is None else cls(**match.groupdict())


def write_table(path: str | os.PathLike, values: Iterable[tuple[str, float | int]]) -> None:
    """Writes rows `file name,value` without a header; floats keep every digit."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows((name, repr(value)) for name, value in values)


def read_table(path: str | os.PathLike) -> dict[str, float]:
    """Reads rows `file name,value`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a row has no finite number as its second cell, or a file name comes twice; the message names the
            file and the line.
    """
    values: dict[str, float] = {}
    for line, row in _rows(path):
        try:
            value = float(row[1])
        except (IndexError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise ValueError(f"{path}, line {line}: {','.join(row)!r} is not `file name,number`")
        if row[0] in values:
            raise ValueError(f"{path}, line {line}: {row[0]} comes twice")
        values[row[0]] = value
    return values


def read_tables(folder: str | os.PathLike, prefix: str, year: int) -> dict[Part, dict[str, float]]:
    """Reads all files of one prefix in a folder.

    Args:
        folder: folder of a system, or one of the ground truth.
        prefix: `anomaly_score`, `decision_result` or `ground_truth`.
        year: whose rule the file names follow.

    Returns:
        {part: {file name: value}}, in string order of the file names.

    Raises:
        FileNotFoundError: there is no such folder, or no such file in it.
        ValueError: a file name breaks the year's rule, or a file its format.
    """
    paths = sorted(Path(folder).glob(f"{prefix}_*.csv"))
    if not paths:
        raise FileNotFoundError(f"{folder} holds no {prefix}_*.csv")
    tables = {}
    for path in paths:
        part = Part.parse(path.stem.removeprefix(f"{prefix}_"), year)
        if part is None:
            rule = Part("<machine type>", "<NN>", "<domain>").stem(year)
            raise ValueError(f"{path} breaks the naming rule of {year}: {prefix}_{rule}.csv")
        tables[part] = read_table(path)
    return tables


def read_ground_truth(root: str | os.PathLike, year: int) -> list[dict[str, Any]]:
    """Reads the official ground truth of an evaluation set.

    Args:
        root: folder with `ground_truth_data` and, from 2022 on, `ground_truth_domain` (2020: `eval_data_list.csv`).
            `ground_truth_attributes` gives the labelled names where it is there.
        year: of the challenge.

    Returns:
        One mapping per clip: `machine_type`, `section`, `domain` ("source", "target"; None in 2020), `file_name`,
        `label` (0 or 1), `labelled_name` (file name with the attributes, or None).

    Raises:
        FileNotFoundError, ValueError: a file is missing or breaks its format.
    """
    root = Path(root)
    if year == 2020:
        return _read_list_2020(root / "eval_data_list.csv")
    clips = []
    for part, labels in read_tables(root / "ground_truth_data", "ground_truth", year).items():
        name = f"ground_truth_{part.stem(year)}.csv"
        domains = read_table(root / "ground_truth_domain" / name) if year > 2021 else {}
        attributes_path = root / "ground_truth_attributes" / name
        labelled = {row[0]: f"{row[1]}.wav" for _, row in _rows(attributes_path)} if attributes_path.exists() else {}
        for file_name, label in labels.items():
            if label not in (0, 1):
                raise ValueError(
                    f"{root / 'ground_truth_data' / name} has the label {label:g} for {file_name}, not 0 or 1"
                )
            if year > 2021 and domains.get(file_name) not in _DOMAINS:
                raise ValueError(f"{root / 'ground_truth_domain' / name} has no domain 0 or 1 for {file_name}")
            domain = part.domain or _DOMAINS[int(domains[file_name])]
            clips.append(
                {
                    **part._asdict(),
                    "domain": domain,
                    "file_name": file_name,
                    "label": int(label),
                    "labelled_name": labelled.get(file_name),
                }
            )
    return clips


def score_submission(folder: str | os.PathLike, ground_truth: str | os.PathLike, year: int) -> dict[str, Any]:
    """Scores a system's folder by the rules of its year, as the official evaluator does.

    Scores and ground truth are joined by file name (the evaluators join them by the order of the names); names with
    attributes stand for the anonymous ones.

    Args:
        folder: with `anomaly_score_*.csv`.
        ground_truth: folder of the official ground truth, see `read_ground_truth`.
        year: of the challenge.

    Returns:
        What `dcase_score` returns.

    Raises:
        FileNotFoundError, ValueError: a file or a clip is missing, or there is one without ground truth.
    """
    clips = read_ground_truth(ground_truth, year)
    tables = read_tables(folder, SCORE_PREFIX, year)
    scores = []
    for clip in clips:
        part = Part(clip["machine_type"], clip["section"], clip["domain"] if year == 2021 else None)
        if part not in tables:
            raise FileNotFoundError(f"{Path(folder) / f'{SCORE_PREFIX}_{part.stem(year)}.csv'} is missing")
        name = clip["file_name"] if clip["file_name"] in tables[part] else clip["labelled_name"]
        if name not in tables[part]:
            raise ValueError(f"{SCORE_PREFIX}_{part.stem(year)}.csv in {folder} lacks {clip['file_name']}")
        scores.append(tables[part].pop(name))
    for part, left in tables.items():
        if left:
            raise ValueError(
                f"{SCORE_PREFIX}_{part.stem(year)}.csv in {folder} scores {next(iter(left))}, "
                "which has no ground truth"
            )
    return dcase_score(
        scores,
        [clip["label"] for clip in clips],
        domains=None if year == 2020 else [clip["domain"] for clip in clips],
        machines=[clip["machine_type"] for clip in clips],
        sections=[clip["section"] for clip in clips],
        rules=year,
    )


def group_by_part(clips: Mapping[str, Any], year: int) -> dict[Part, list[int]]:
    """Rows of a table by the file that they belong to, parts and file names in string order.

    Args:
        clips: columns `file_name`, `machine_type`, `section`, and `domain` for 2021.
        year: whose files are meant.
    """
    names, machines, sections = (list(clips[column]) for column in ("file_name", "machine_type", "section"))
    domains = list(clips["domain"]) if year == 2021 else [None] * len(names)
    parts: dict[Part, list[int]] = {}
    for row in sorted(
        range(len(names)), key=lambda row: (machines[row], sections[row], domains[row] or "", names[row])
    ):
        parts.setdefault(Part(machines[row], sections[row], domains[row]), []).append(row)
    return parts


def _rows(path: str | os.PathLike) -> list[tuple[int, list[str]]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist")
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        return [(reader.line_num, row) for row in reader if row]


def _read_list_2020(path: Path) -> list[dict[str, Any]]:
    """The list of 2020: a line with the machine type, then lines of test name, labelled name and label."""
    clips: list[dict[str, Any]] = []
    machine_type = None
    for line, row in _rows(path):
        match = re.match(r"id_(\d+)_", row[0])
        if len(row) == 1:
            machine_type = row[0]
        elif machine_type is None or match is None or len(row) != 3 or row[2] not in ("0", "1"):
            raise ValueError(f"{path}, line {line}: {','.join(row)!r} is not `id_<NN>_<name>,labelled name,0 or 1`")
        else:
            clips.append(
                {
                    "machine_type": machine_type,
                    "section": match[1],
                    "domain": None,
                    "file_name": row[0],
                    "label": int(row[2]),
                    "labelled_name": row[1],
                }
            )
    return clips
