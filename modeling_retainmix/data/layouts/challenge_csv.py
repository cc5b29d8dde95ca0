"""The CSV files of DCASE Task 2, read: tables of `file name,number`, and the official ground truth."""

import math
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from modeling_retainmix.csv_files import read_rows

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
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


def read_table(path: str | os.PathLike) -> dict[str, float]:
    """Read rows `file name,value`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: a row has not two cells with a finite number in the second one (as with a decimal comma), or a
            file name comes twice; the message names the file and the line.
    """
    values: dict[str, float] = {}
    for line, row in read_rows(path):
        value = float(row[1]) if len(row) == 2 and _NUMBER.fullmatch(row[1]) else math.nan
        if not math.isfinite(value):
            raise ValueError(
                f"{path}, line {line}: {','.join(row)!r} is not `file name,number`: write the number with a decimal "
                "point, and nothing behind it"
            )
        if row[0] in values:
            raise ValueError(f"{path}, line {line}: {row[0]} comes twice")
        values[row[0]] = value
    return values


def read_tables(folder: str | os.PathLike, prefix: str, year: int) -> dict[Part, dict[str, float]]:
    """Read all files of one prefix in a folder.

    Args:
        folder: folder of a system, or one of the ground truth.
        prefix: `anomaly_score`, `decision_result` or `ground_truth`.
        year: whose rule the file names follow.

    Returns:
        {part: {file name: value}}, in string order of the file names.

    Raises:
        FileNotFoundError: the folder holds no such file.
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
    """Read the official ground truth of an evaluation set.

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
        labelled = _read_labelled_names(attributes_path) if attributes_path.exists() else {}
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


def _read_labelled_names(path: Path) -> dict[str, str]:
    """{anonymous name: name with attributes}; it is the second cell, or in files with a header (2022) the last."""
    rows = [row for _, row in read_rows(path)]
    has_header = bool(rows) and rows[0][0] == "file_name"
    cell = -1 if has_header else 1
    return {Path(row[0]).name: row[cell].removesuffix(".wav") + ".wav" for row in rows[has_header:] if len(row) > 1}


def _read_list_2020(path: Path) -> list[dict[str, Any]]:
    """The list of 2020: a line with the machine type, then lines of test name, labelled name and label."""
    clips: list[dict[str, Any]] = []
    machine_type = None
    for line, row in read_rows(path):
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
