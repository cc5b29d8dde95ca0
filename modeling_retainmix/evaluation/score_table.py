"""A table of scores and labels, such as `retainmix score` writes it, as the official score takes it."""

import os
from pathlib import Path
from typing import Any

from modeling_retainmix.csv_files import read_records
from modeling_retainmix.data.layouts.dcase_sections import parse_dcase_name
from modeling_retainmix.detection.groups import recording_groups

_LABELS = dict.fromkeys(("0", "normal"), 0) | dict.fromkeys(("1", "anomaly", "anomalous"), 1)
_OPTIONAL = ("domain", "machine", "section")


def read_score_table(path: str | os.PathLike[str], labels: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Read a CSV file of scores with their labels.

    Args:
        path: with the columns `score`, and `label` (0 or normal, 1 or anomaly) or else `file`; `domain` ("source" or
            "target"), `machine` and `section` where they are known.
        labels: a second CSV file, whose first column names the files of the first one, and which has `label`, and
            those of the other columns that the first one lacks. None: what the first table lacks is read from its
            file names, if they are those of DCASE Task 2.

    Returns:
        The arguments `predictions`, `references`, `domains`, `machines` and `sections` of `dcase_score`, of which the
        last three are None where the tables do not tell them.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a column is missing, or a score or label is not valid; the message names file and line.
    """
    names, records = read_records(path)
    if "score" not in names or not records:
        raise ValueError(f"{path} has no column score or no row: its columns are {', '.join(names)}")
    columns = {name: [record[name] for _, record in records] for name in names}
    needed = [name for name in ("label", *_OPTIONAL) if name not in columns]
    if labels is not None:
        told = read_records(labels)[0][1:]
        if "label" not in told or Path(labels).suffix.lower() != ".csv":
            raise ValueError(f"{labels} is no CSV file with a column label behind its first, which names the files")
        for name in ("label", *(name for name in needed if name != "label" and name in told)):
            found = recording_groups(_files(path, columns), f"{labels}:{name}", "labels")
            columns[name] = [str(one) for one in found]
    elif "label" in needed:
        columns |= _from_names(path, _files(path, columns), needed)
    lines = [line for line, _ in records]
    return {
        "predictions": [_number(text, path, line) for text, line in zip(columns["score"], lines, strict=True)],
        "references": [_label(text, path, line) for text, line in zip(columns["label"], lines, strict=True)],
        **{f"{name}s": columns.get(name) for name in _OPTIONAL},
    }


def _files(path: str | os.PathLike[str], columns: dict[str, list[str]]) -> list[str]:
    if "file" not in columns:
        raise ValueError(f"{path} has neither a column label nor a column file, by which to find the labels: add one")
    return columns["file"]


def _from_names(path: str | os.PathLike[str], files: list[str], needed: list[str]) -> dict[str, list[str]]:
    """Read what DCASE names tell; the machine is the folder above `test`."""
    found: dict[str, list[str]] = {name: [] for name in needed}
    for file in files:
        parts = parse_dcase_name(Path(file).stem)
        if parts is None or not parts["label"]:
            raise ValueError(
                f"{path} has no column label, and {file} tells none as DCASE names do: add the column, or give a "
                "table of labels"
            )
        place = Path(file).parent
        parts = {**parts, "machine": place.parent.name if place.name == "test" else place.name}
        for name in needed:
            found[name].append(str(parts[name]))
    return {name: values for name, values in found.items() if all(values)}


def _number(text: str, path: str | os.PathLike[str], line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{path}, line {line}: the score {text!r} is not a number") from None


def _label(text: str, path: str | os.PathLike[str], line: int) -> int:
    if text not in _LABELS:
        raise ValueError(f"{path}, line {line}: the label {text!r} is not valid: use 0 or normal, 1 or anomaly")
    return _LABELS[text]
