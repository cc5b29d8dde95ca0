"""Recording sessions: which recordings belong together, and are left out together where a threshold leaves one out.

Recordings of one session share what the next session will not: the position of the microphone, the temperature, the
state of the machine. So the unit of calibration is the session, here a group of recordings, and not the file.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from modeling_retainmix.csv_files import read_records

FOLDER = "folder"
EXAMPLE = "rec ([0-9]+)-"  # an expression for files such as "rec 3-07.wav"

# What the command line calls an argument, and what it tells apart.
_OPTIONS = {"groups": (" (--sessions)", "sessions"), "domains": (" (--group)", "conditions")}
_CSV_COLUMN = re.compile(r"(.+\.csv):(.+)", re.IGNORECASE)


def recording_groups(names: Sequence[str], groups: Any = None, argument: str = "groups") -> list[str | None]:
    """Return the group of each recording.

    Args:
        names: of the recordings, paths if they are files.
        groups: None: every recording is a group of its own. A list, array, tensor or column: the group of each. A
            mapping {file: group}. "folder": the folder that a file lies in. "FILE.csv:COLUMN": that column of a CSV
            file whose first column names the files. Any other text: a regular expression with one group in
            parentheses, searched in the file's name, or in its path if the expression holds a "/". Files are named in
            mappings and CSV files by as much of the end of their path as tells them apart.
        argument: what the caller's users call `groups`, for errors.

    Returns:
        Names of the groups, or None for each recording.

    Raises:
        FileNotFoundError: the CSV file does not exist.
        ValueError: a number of groups that is not that of the recordings, a recording without a group, two folders of
            one name, or an expression that is not valid or has not one group; the message names the recording.
    """
    if groups is None:
        return [None] * len(names)
    if isinstance(groups, str):
        if groups == FOLDER:
            return list(_folders(names, argument))
        table = _CSV_COLUMN.fullmatch(groups)
        if table is not None:
            return _looked_up(names, _read_column(table[1], table[2]), groups)
        return list(_matched(names, groups, argument))
    if isinstance(groups, Mapping):
        return _looked_up(names, {str(key): str(value) for key, value in groups.items()}, argument)
    if isinstance(groups, (torch.Tensor, np.ndarray)):
        if groups.ndim != 1:
            raise ValueError(f"{argument} have shape {list(groups.shape)}: pass one for each clip, [clips]")
        groups = groups.tolist()
    if len(groups) != len(names):
        raise ValueError(f"{len(groups)} {argument} for {len(names)} recordings: pass one for each clip")
    return [None if group is None else str(group) for group in groups]


def describe_one_session(groups: Sequence[str | None], how: Any) -> str | None:
    """Say that all references are of one session, so that none can be left out; None: they are not, or there is one.

    Args:
        groups: the group of each reference.
        how: what the user gave as groups.
    """
    if len(groups) < 2 or groups[0] is None or len(set(groups)) > 1:
        return None
    given = f"groups={how!r}" if isinstance(how, str) else "groups="
    cause = f"are of one session ({groups[0]}) by {given} (--sessions)"
    if isinstance(how, str) and how == FOLDER:
        cause = f"lie in one folder ({groups[0]}), so {given} (--sessions {how}) makes one session of them"
    return (
        f"all {len(groups)} references {cause}, and a threshold needs two or more: put the files of each session into "
        "a subfolder of its own, give an expression with parentheses around the session in the file's name, such as "
        f"{EXAMPLE!r}, or leave it out if every file is a session"
    )


def unit_index(first_copy: np.ndarray, groups: Sequence[str | None]) -> np.ndarray:
    """Number the units that are left out together: recordings of one group, and copies of each other.

    Args:
        first_copy: [recordings] of `group_copies`.
        groups: the group of each recording; None: it has none.

    Returns:
        [recordings] int64, the index of the first recording of each one's unit.
    """
    count = len(first_copy)
    first_of_group: dict[str, int] = {}
    first = [index if group is None else first_of_group.setdefault(group, index) for index, group in enumerate(groups)]
    rows, columns = np.tile(np.arange(count), 2), np.concatenate([first_copy, np.asarray(first, dtype=np.int64)])
    _, labels = connected_components(coo_array((np.ones(2 * count), (rows, columns)), (count, count)), directed=False)
    _, first_index = np.unique(labels, return_index=True)
    return first_index[labels] if count else np.zeros(0, dtype=np.int64)


def _folders(names: Sequence[str], argument: str) -> list[str]:
    found: dict[str, PurePath] = {}
    for name in names:
        parent = PurePath(os.path.abspath(name)).parent
        other = found.setdefault(parent.name, parent)
        if other != parent:
            raise ValueError(
                f"{other} and {parent} have the same name, so {argument}='folder' cannot tell them apart: use a "
                f"regular expression over the path, such as {argument}='(day[0-9]+)/'"
            )
    return [PurePath(os.path.abspath(name)).parent.name for name in names]


def _matched(names: Sequence[str], pattern: str, argument: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{argument}={pattern!r} is not a valid regular expression ({error}): correct it") from error
    if expression.groups != 1:
        option, what = _OPTIONS.get(argument, ("", argument))
        count = f"{expression.groups} pairs of parentheses" if expression.groups else "no parentheses"
        more = ", and (?: ) around other parts" if expression.groups else ", or use 'folder' or 'FILE.csv:COLUMN'"
        raise ValueError(
            f"{argument}={pattern!r}{option} has {count}: put one pair around the part of the file's name that tells "
            f"{what} apart, as in {EXAMPLE!r}{more}"
        )
    found = []
    for name in names:
        path = PurePath(name)
        match = expression.search(path.as_posix() if "/" in pattern else path.name)
        if match is None or match[1] is None:
            raise ValueError(
                f"{name} does not match {argument}={pattern!r}: correct the expression or the file's name"
            )
        found.append(match[1])
    return found


def _read_column(path: str, column: str) -> dict[str, str]:
    columns, records = read_records(path)
    if column not in columns[1:]:
        raise ValueError(
            f"{path} has no column {column!r} behind its first, which names the files: use one of {columns[1:]}"
        )
    values: dict[str, str] = {}
    for line, record in records:
        name, group = record[columns[0]], record[column]
        if not group:
            raise ValueError(f"{path}, line {line}: {name} has no {column}: fill the cell")
        if values.setdefault(name, group) != group:
            raise ValueError(f"{path}, line {line}: {name} comes twice, as {values[name]} and {group}: remove one")
    return values


def _looked_up(names: Sequence[str], values: Mapping[str, str], source: str) -> list[str | None]:
    by_path = {PurePath(key).as_posix(): value for key, value in values.items()}
    groups: list[str | None] = []
    for name in names:
        parts = PurePath(name).parts
        ends = (PurePath(*parts[start:]).as_posix() for start in range(len(parts)))
        group = next((by_path[end] for end in ends if end in by_path), None)
        if group is None:
            raise ValueError(f"{name} has no group in {source}: add it")
        groups.append(group)
    return groups
