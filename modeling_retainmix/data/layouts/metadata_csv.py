"""Recordings in a folder with `metadata.csv` files, as the audiofolder loader of `datasets` has them."""

import csv
import io
import os
from pathlib import Path

from modeling_retainmix.audio import list_audio_files
from modeling_retainmix.csv_files import read_text
from modeling_retainmix.data.layouts.columns import row_from_metadata

METADATA_NAME = "metadata.csv"
FILE_COLUMN = "file_name"


def has_metadata(root: Path) -> bool:
    """Whether a folder, or a folder in it, holds a metadata file."""
    return next(root.rglob(METADATA_NAME), None) is not None


def read_metadata_folder(root: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Lists the recordings of machines in a folder with metadata.

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


def read_entries(root: str | os.PathLike[str]) -> list[tuple[Path, dict[str, str], str]]:
    """Lists the sound files of a folder whose metadata lies in one file, or in one file per subfolder.

    A line gives a sound file's path, relative to the metadata file, in the column `file_name`.

    Returns:
        Path, {column: value} and place (file and line, for messages) of every sound file, in the order of the lines.

    Raises:
        FileNotFoundError: there is no metadata file, or a sound file that one lists does not exist.
        ValueError: a sound file outside the folder, one that is listed twice, or that none lists; a metadata file that
            is not in UTF-8.
    """
    root = Path(root)
    files = sorted(root.rglob(METADATA_NAME))
    if not files:
        raise FileNotFoundError(f"{root} holds no {METADATA_NAME}: check the path")
    entries: list[tuple[Path, dict[str, str], str]] = []
    listed: set[Path] = set()
    for file in files:
        with io.StringIO(read_text(file), newline="") as lines:
            reader = csv.DictReader(lines)
            if FILE_COLUMN not in (reader.fieldnames or ()):
                raise ValueError(f"{file} has no column {FILE_COLUMN} with the sound files: add it")
            for entry in reader:
                where = f"{file}, line {reader.line_num}"
                path = file.parent / (entry[FILE_COLUMN] or "")
                if not Path(os.path.normpath(path)).is_relative_to(os.path.normpath(root)):
                    raise ValueError(
                        f"{where} lists {path}, which lies outside {root}: move it there or correct the line"
                    )
                if not path.is_file():
                    raise FileNotFoundError(f"{path} does not exist, but {where} lists it: add it or remove the line")
                if path.resolve() in listed:
                    raise ValueError(f"{where} lists {path} for the second time: remove the line")
                listed.add(path.resolve())
                entries.append((path, entry, where))
    unlisted = [path for path in list_audio_files(root) if path.resolve() not in listed]
    if unlisted:
        raise ValueError(
            f"{unlisted[0]} is in no {METADATA_NAME} of {root} ({len(unlisted)} such files): add a line or remove it"
        )
    return entries
