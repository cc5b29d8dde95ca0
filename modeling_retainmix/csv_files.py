"""CSV files, written and read in one way: UTF-8, lines that end with a line feed, errors that name the file."""

import csv
import io
import os
from collections import Counter
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


def read_text(path: str | os.PathLike[str]) -> str:
    """Return the content of a text file in UTF-8, without a byte order mark, line ends as they are.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it cannot be opened, is in another encoding, or holds null bytes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: check the path")
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not in UTF-8: save it in that encoding") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be opened ({error.strerror}): check its permissions") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ValueError(f"{path}, line {line} holds a null byte: save it as plain text in UTF-8")
    return text


def read_rows(path: str | os.PathLike[str]) -> list[tuple[int, list[str]]]:
    """Read the rows that are not empty: number of the line, and cells without the spaces before them.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not in UTF-8, or not CSV: a quote that is never closed, a cell of more than 131,072
            characters.
    """
    rows = []
    with io.StringIO(read_text(path), newline="") as file:
        reader = csv.reader(file, skipinitialspace=True, strict=True)
        try:
            for row in reader:
                if row:
                    rows.append((reader.line_num, row))
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}: correct the line") from error
    return rows


def read_records(path: str | os.PathLike[str]) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read the columns that the first row names, and {column: cell} with the number of its line for each other row.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: as in `read_rows`; cells are separated by another sign than a comma, a column comes twice, or a row
            has more or fewer cells than the first one.
    """
    (_, header), *rows = read_rows(path) or [(0, [])]
    columns = [name.strip() for name in header]
    for separator, sign in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(columns) == 1 and separator in columns[0]:
            raise ValueError(f"{path} separates its columns by {sign}: save it with commas")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"{path} has the column {twice[0]!r} twice: rename or remove one of them")
    records = []
    for line, row in rows:
        if len(row) != len(columns):
            raise ValueError(
                f"{path}, line {line}: {len(row)} cells, but the header names {len(columns)} columns: quote cells "
                "that hold a comma, and give empty cells a comma too"
            )
        records.append((line, dict(zip(columns, row, strict=True))))
    return columns, records
