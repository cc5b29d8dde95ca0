"""Recordings in a folder with `metadata.csv` files, as the audiofolder loader of `datasets` has them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from modeling_retainmix.audio_files import list_audio_files, unreadable, walk_folder
from modeling_retainmix.csv_files import read_records
from modeling_retainmix.data.layouts.columns import METADATA_COLUMNS, check_columns, row_from_metadata

METADATA_NAME = "metadata.csv"
FILE_COLUMN = "file_name"


def has_metadata(root: Path) -> bool:
    """Whether a folder, or a folder in it, holds a metadata file."""
    return next(_metadata_files(root), None) is not None


def _metadata_files(root: Path) -> Iterator[Path]:
    return (folder / METADATA_NAME for folder, _, names in walk_folder(root) if METADATA_NAME in names)


def read_metadata_folder(root: str | os.PathLike[str]) -> list[dict[str, str]]:
    """List the recordings of machines in a folder with metadata.

    A line's columns are those of `row_from_metadata`. Without a column `split`, a folder `train` or `test` on the path
    from the root tells it; where neither does, the recording is a reference.

    Returns:
        Rows of a table of recordings, in the order of the lines.

    Raises:
        FileNotFoundError, ValueError: as in `read_entries`, or a value that breaks a rule.
    """
    rows = []
    for path, entry, where in read_entries(root):
        split = "test" if "test" in path.relative_to(root).parts[:-1] else "train"
        rows.append({"path": str(path), **row_from_metadata(entry, where, split)})
    return rows


def read_entries(
    root: str | os.PathLike[str], known: Sequence[str] = METADATA_COLUMNS
) -> list[tuple[Path, dict[str, str], str]]:
    """List the sound files of a folder whose metadata lies in one file, or in one file per subfolder.

    A line gives a sound file's path, relative to the metadata file, in the column `file_name`.

    Args:
        root: the folder.
        known: names of the columns that the caller reads.

    Returns:
        Path, {column: value} and place (file and line, for messages) of every sound file, in the order of the lines.

    Raises:
        FileNotFoundError: the folder holds no metadata file, or a sound file that one lists does not exist.
        ValueError: a sound file outside the folder, also by a link; one that is listed twice, that none lists, or that
            cannot be read; a metadata file that is not CSV in UTF-8, or whose columns look like known ones.
    """
    root = Path(root)
    files = sorted(_metadata_files(root))
    if not files:
        raise FileNotFoundError(f"{root} holds no {METADATA_NAME}: check the path")
    entries: list[tuple[Path, dict[str, str], str]] = []
    listed: set[str] = set()
    for file in files:
        columns, records = read_records(file)
        if FILE_COLUMN not in columns:
            check_columns(columns, [FILE_COLUMN], str(file))
            raise ValueError(f"{file} has no column {FILE_COLUMN} with the sound files: add it")
        check_columns(columns, [FILE_COLUMN, *known], str(file))
        for line, entry in records:
            where = f"{file}, line {line}"
            path = file.parent / entry[FILE_COLUMN].strip()
            _check_place(path, root, file, where)
            place = os.path.normpath(path)
            if place in listed:
                raise ValueError(f"{where} lists {path} for the second time: remove the line")
            listed.add(place)
            entries.append((path, entry, where))
    unlisted = [path for path in list_audio_files(root) if os.path.normpath(path) not in listed]
    if unlisted:
        raise ValueError(
            f"{unlisted[0]} is in no {METADATA_NAME} of {root} ({len(unlisted)} such files): add a line or remove it"
        )
    return entries


def _check_place(path: Path, root: Path, file: Path, where: str) -> None:
    """A line names a file below the root: by its path, and where links lead.

    Only where the metadata file itself is a link may others lead into the folder in which it really lies: so the
    snapshots of a Hub cache are made.
    """
    if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
        raise ValueError(f"{where} lists {path}, which lies outside {root}: move it there or correct the line")
    problem = unreadable(path)
    if problem is not None and not path.exists() and not path.is_symlink():
        raise FileNotFoundError(f"{path} does not exist, but {where} lists it: add it or remove the line")
    if problem is not None:
        raise ValueError(f"{path}, which {where} lists, {problem}")
    real = path.resolve()
    if not real.is_relative_to(root.resolve()) and real.parent != file.resolve().parent:
        raise ValueError(f"{where} lists {path}, which is a link out of {root}, to {real}: copy the file there")
