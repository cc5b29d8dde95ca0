"""The rows of `retainmix score`: a CSV file, CSV or JSON lines on standard output as they come, or a table."""

import csv
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from retainmix_cli import exit_codes
from retainmix_cli.output import json_line, say_error

if TYPE_CHECKING:
    from modeling_retainmix.stoppable_csv import ResultFile

_VERDICTS = {True: "ANOMALY", False: "normal", None: "-"}


class Rows:
    """Take rows as they come, and print those that make a table at the end.

    Args:
        columns: names, `score` and `anomalous` among them.
        file: the CSV file; None: there is none.
        to_csv, to_json: print rows on standard output as they come; without both, and without a file, a table follows.

    Attributes:
        num_rows, num_anomalous, num_judged: so far; those judged have a verdict.
        failures: why others have no row.
    """

    def __init__(self, columns: Sequence[str], file: "ResultFile | None", to_csv: bool, to_json: bool) -> None:
        self._columns, self._file, self._to_json = columns, file, to_json
        self._writer = csv.writer(sys.stdout, lineterminator="\n") if to_csv else None
        if self._writer is not None:
            self._writer.writerow(columns)
        self._is_table = file is None and not to_csv and not to_json
        self._table: list[dict[str, Any]] = []
        self.num_rows = self.num_anomalous = self.num_judged = 0
        self.failures: list[str] = []

    def take(self, row: dict[str, Any]) -> None:
        """Take a row; what it lacks stays empty."""
        cells = ["" if row.get(name) is None else row[name] for name in self._columns]
        cells = [int(cell) if isinstance(cell, bool) else cell for cell in cells]
        if self._file is not None:
            self._file.write(cells)
        if self._to_json:
            print(json_line(row), flush=True)
        if self._writer is not None:
            self._writer.writerow(cells)
            sys.stdout.flush()
        if self._is_table:
            self._table.append(row)
        self.num_rows += 1
        self.num_anomalous += row["anomalous"] is True
        self.num_judged += row["anomalous"] is not None

    def take_failure(self, name: Any, error: str) -> None:
        """Take what has no row, a recording or a machine, with the cause."""
        self.failures.append(error)
        if self._to_json:
            print(json_line({"file": name, "error": error}), flush=True)

    def print_table(self) -> None:
        """Print the table, most anomalous recordings first, machine by machine."""
        if not self._table:
            return
        names = self._columns
        texts = [
            [_text(row[name]) for name in names]
            for row in sorted(self._table, key=lambda row: (row.get("machine") or "", -row["score"]))
        ]
        widths = [max(map(len, column)) for column in zip(names, *texts, strict=True)]
        for cells in (names, *texts):
            line = (
                cell.rjust(width) if name in ("score", "p_value", "threshold") else cell.ljust(width)
                for name, cell, width in zip(names, cells, widths, strict=True)
            )
            print("  ".join(line).rstrip())
        self._table = []


@contextmanager
def result_file(path: Path | None, columns: Sequence[str], is_kept: bool = True) -> Iterator["ResultFile | None"]:
    """Open the CSV file of a command, put it in its place at the end, and say what is kept of it otherwise.

    Args:
        path: of the file; None: there is none.
        columns: its header.
        is_kept: whether it is wanted at the end; else it is removed, and serves a command that does not get there.

    Raises:
        typer.Exit: it cannot be written, which has been said.
    """
    if path is None:
        yield None
        return
    from modeling_retainmix.stoppable_csv import OutputError, ResultFile

    result = None
    try:
        with ResultFile(path, columns) as result:
            yield result
            result.finish() if is_kept else result.discard()
    except OutputError as error:
        say_error(f"{error}; {result.describe()}" if result else str(error))
        raise typer.Exit(exit_codes.FAILED) from error
    except KeyboardInterrupt as error:
        if result is not None:
            error.add_note(f"{result.describe()}; run the same command again to score all")
        raise


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return _VERDICTS[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)
