"""The CSV files of DCASE Task 2, written: scores and decisions of a system; and the figures of its folder."""

import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from modeling_retainmix.data.layouts.challenge_csv import Part, read_ground_truth, read_tables
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score, harmonic_mean

SCORE_PREFIX = "anomaly_score"
DECISION_PREFIX = "decision_result"
_FIGURES = ("precision", "recall", "f1")
_EPSILON = sys.float_info.epsilon


def score_submission(folder: str | os.PathLike, ground_truth: str | os.PathLike, year: int) -> dict[str, Any]:
    """Score a system's folder by the rules of its year, as the official evaluator does.

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
    scores = _joined_values(folder, SCORE_PREFIX, clips, year)
    return dcase_score(
        scores,
        [clip["label"] for clip in clips],
        domains=None if year == 2020 else [clip["domain"] for clip in clips],
        machines=[clip["machine_type"] for clip in clips],
        sections=[clip["section"] for clip in clips],
        rules=year,
    )


def score_decisions(folder: str | os.PathLike, ground_truth: str | os.PathLike, year: int) -> dict[str, Any]:
    """Return precision, recall and F1 of a system's decisions, as the official evaluators from 2021 on report them.

    They count the clips of one section and domain, anomalies too, unlike the AUCs, and are no part of the official
    score. A figure whose denominator is 0 is 0; the harmonic means take figures of 0 as the machine epsilon.

    Args:
        folder: with `decision_result_*.csv`.
        ground_truth: folder of the official ground truth, see `read_ground_truth`.
        year: of the challenge, 2021 or later.

    Returns:
        `machines`: {machine type: {section: {domain: figures}}}, and over all of these the figures `arithmetic_mean`,
        `harmonic_mean`, `source_harmonic_mean`, `target_harmonic_mean`; figures are `precision`, `recall` and `f1`,
        in [0, 1].

    Raises:
        FileNotFoundError, ValueError: a file or a clip is missing, there is one without ground truth, or a decision is
            not 0 or 1; or the year is 2020, which had no decisions.
    """
    if year < 2021:
        raise ValueError(f"year={year}: decisions are part of submissions from 2021 on")
    clips = read_ground_truth(ground_truth, year)
    counts: dict[tuple[str, str, str], Counter[tuple[int, int]]] = {}
    for clip, decision in zip(clips, _joined_values(folder, DECISION_PREFIX, clips, year), strict=True):
        if decision not in (0, 1):
            raise ValueError(
                f"{folder} decides {decision:g} on {clip['file_name']} of {clip['machine_type']}: decisions are 0 or 1"
            )
        key = clip["machine_type"], clip["section"], clip["domain"]
        counts.setdefault(key, Counter())[clip["label"], int(decision)] += 1
    figures = {key: _decision_figures(counted) for key, counted in counts.items()}
    machines: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for (machine, section, domain), values in figures.items():
        machines.setdefault(machine, {}).setdefault(section, {})[domain] = values
    by_domain = {name: [values for key, values in figures.items() if key[2] == name] for name in ("source", "target")}
    return {
        "machines": machines,
        "arithmetic_mean": {name: fmean(values[name] for values in figures.values()) for name in _FIGURES},
        "harmonic_mean": _harmonic_means(figures.values()),
        **{f"{domain}_harmonic_mean": _harmonic_means(values) for domain, values in by_domain.items() if values},
    }


def group_by_part(clips: Mapping[str, Any], year: int) -> dict[Part, list[int]]:
    """Group the rows of a table by the file that they belong to, parts and file names in string order.

    Args:
        clips: columns `file_name`, `machine_type`, `section`, and `domain` for 2021.
        year: whose files are meant.

    Raises:
        ValueError: a column is missing, or shorter or longer than another.
    """
    needed = ["file_name", "machine_type", "section", *(["domain"] if year == 2021 else [])]
    missing = [column for column in needed if column not in getattr(clips, "column_names", clips)]
    if missing:
        raise ValueError(f"the clips have no column {', '.join(missing)}: {', '.join(needed)} are needed for {year}")
    names, machines, sections, *rest = (list(clips[column]) for column in needed)
    domains = rest[0] if rest else [None] * len(names)
    lengths = [len(column) for column in (names, machines, sections, domains)]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"the columns {', '.join(needed)} have {', '.join(map(str, lengths))} rows: give one per clip"
        )
    parts: dict[Part, list[int]] = {}
    for row in sorted(
        range(len(names)), key=lambda row: (machines[row], sections[row], domains[row] or "", names[row])
    ):
        parts.setdefault(Part(machines[row], sections[row], domains[row]), []).append(row)
    return parts


def _joined_values(
    folder: str | os.PathLike, prefix: str, clips: Iterable[Mapping[str, Any]], year: int
) -> list[float]:
    """Return the value of each clip of the ground truth in a system's files of one prefix."""
    tables = read_tables(folder, prefix, year)
    values = []
    for clip in clips:
        part = Part(clip["machine_type"], clip["section"], clip["domain"] if year == 2021 else None)
        if part not in tables:
            raise FileNotFoundError(f"{Path(folder) / f'{prefix}_{part.stem(year)}.csv'} is missing")
        name = clip["file_name"] if clip["file_name"] in tables[part] else clip["labelled_name"]
        if name not in tables[part]:
            raise ValueError(f"{prefix}_{part.stem(year)}.csv in {folder} lacks {clip['file_name']}")
        values.append(tables[part].pop(name))
    for part, left in tables.items():
        if left:
            raise ValueError(
                f"{prefix}_{part.stem(year)}.csv in {folder} holds {next(iter(left))}, which has no ground truth"
            )
    return values


def _decision_figures(counts: Counter[tuple[int, int]]) -> dict[str, float]:
    """Return precision, recall and F1 from the number of clips with each (label, decision)."""
    hits, false_alarms, misses = counts[1, 1], counts[0, 1], counts[1, 0]
    precision = hits / max(hits + false_alarms, _EPSILON)
    recall = hits / max(hits + misses, _EPSILON)
    f1 = 2 * precision * recall / max(precision + recall, _EPSILON)
    return dict(zip(_FIGURES, (precision, recall, f1), strict=True))


def _harmonic_means(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    rows = list(figures)
    return {name: float(harmonic_mean([row[name] for row in rows])) for name in _FIGURES}
