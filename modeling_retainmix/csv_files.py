"""CSV files, written and read in one way: UTF-8, lines that end with a line feed, errors that name the file."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def write_records(
    path: str | os.PathLike[str], records: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write records under a header.

    Args:
        path: file to write; one that exists is replaced.
        records: {column: value}.
        columns: header; None: the columns of the first record.

    Raises:
        ValueError: a record has a column that the header lacks.
    """
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0] if columns is None else columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)


def write_rows(path: str | os.PathLike[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows without a header; floats, also those of numpy, keep every digit."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def read_rows(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    """Read the rows of a file without a header, empty lines left out.

    Returns:
        (number of the line that the row ends in, cells) of each row.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not in UTF-8, or not CSV; the message names the file.
    """
    with io.StringIO(read_text(path), newline="") as file:
        reader = csv.reader(file)
        try:
            return [(reader.line_num, row) for row in reader if row]
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}: check the quotes of the file") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a text file in UTF-8, without a byte order mark, line ends as they are.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is in another encoding.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: check the path")
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8: save it in that encoding") from error
