"""The CSV files of DCASE Task 2, written: anomaly scores and decisions of a system; and the score of its folder."""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modeling_retainmix.data.challenge_tables import Part, read_ground_truth, read_tables
from modeling_retainmix.metrics.dcase_score import dcase_score

SCORE_PREFIX = "anomaly_score"
DECISION_PREFIX = "decision_result"


def write_table(path: str | os.PathLike, values: Iterable[tuple[str, float | int]]) -> None:
    """Writes rows `file name,value` without a header; floats keep every digit."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows((name, repr(value)) for name, value in values)


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
