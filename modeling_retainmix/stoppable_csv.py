"""The result of a long command: a CSV that is whole at its place, or as far as it came beside it.

Rows are written as they come to `<output>.partial`, which takes the place of the output at the end. An interruption, a
signal to end or a full disk leaves the partial file, which ends with a whole row.
"""

import csv
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self

OUTPUT_ERROR = 2  # exit status: the output cannot be written
STATUS_OF_SIGNAL = {signal.SIGINT: 130, signal.SIGTERM: 143}  # exit status: 128 and the signal


class OutputError(Exception):
    """The output cannot be written; the message names it and the cause."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; like the former not an Exception, so that nothing takes it for the fault of one recording.

    Attributes:
        status: exit status of the command.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.status = STATUS_OF_SIGNAL[signal.Signals(number)]


class StopSignals:
    """Raise `Stopped` on the first Ctrl-C or SIGTERM in the block; a second one ends the process at once."""

    def __init__(self) -> None:
        self._is_held = False
        self._pending: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._receive) for number in STATUS_OF_SIGNAL}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Put a signal off to the end of the block, for steps that belong together, such as a row and its count."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._pending is not None:
            raise Stopped(self._pending)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        for each in STATUS_OF_SIGNAL:
            signal.signal(each, signal.SIG_DFL)
        self._pending = number
        if not self._is_held:
            raise Stopped(number)


class ResultFile:
    """A CSV that is written row by row.

    Its constructor writes the header, so that an output that cannot be written is found before any work.

    Args:
        path: the output; its folder is made where it is missing. A link stays a link.
        header: names of the columns.

    Attributes:
        partial: where the rows are until `finish`.
        num_rows: written so far, without the header.

    Raises:
        OutputError: the output, or the file beside it, cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], header: Sequence[str]) -> None:
        self.path = Path(os.path.realpath(path))
        self.partial = self.path.with_name(f"{self.path.name}.partial")
        self.num_rows = -1
        try:
            if self.path.is_dir():
                raise OutputError(f"{path} is a folder: give the name of a file")
            if self.path.exists() and not self.path.is_file():
                raise OutputError(f"{path} is not a regular file: give the name of a file")
            if self.path.exists() and not os.access(self.path, os.W_OK):
                raise OutputError(f"{path} is write-protected: give another name, or change its permissions")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.partial, "wb", buffering=0)  # noqa: SIM115 (`close` is of this class)
        except OSError as error:
            raise self._error(error) from error
        self._whole = 0  # bytes of whole rows
        self.write(header)

    def write(self, row: Sequence[Any]) -> None:
        """Write a row; floats keep every digit, and names of files that are not UTF-8 their bytes.

        Raises:
            OutputError: the disk is full, or the file cannot be written for another cause; whole rows stay.
        """
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        content = memoryview(text.getvalue().encode("utf-8", "surrogateescape"))
        size = len(content)
        try:
            while content:
                content = content[self._file.write(content) or 0 :]
        except OSError as error:
            self._file.truncate(self._whole)
            raise self._error(error) from error
        self._whole += size
        self.num_rows += 1

    def finish(self) -> None:
        """Put the file in its place.

        Raises:
            OutputError: it cannot be; the partial file stays.
        """
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.partial, self.path)
        except OSError as error:
            raise self._error(error) from error

    def close(self) -> None:
        """Leave the partial file, or remove it where it has no row."""
        self._file.close()
        if self.num_rows <= 0:
            self.partial.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the partial file: its content is elsewhere."""
        self._file.close()
        self.partial.unlink(missing_ok=True)

    def describe(self) -> str:
        """Say in a sentence what is kept of a result that is not whole."""
        if self.num_rows <= 0:
            return "no row was written"
        return f"{self.num_rows} row{'s are' if self.num_rows > 1 else ' is'} kept in {self.partial}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self._file.closed:
            self.close()

    def _error(self, error: OSError) -> OutputError:
        return OutputError(f"{self.path} cannot be written ({error.strerror}): free the disk, or give another name")


def exit_incomplete(error: OutputError | Stopped, result: ResultFile | None) -> NoReturn:
    """End the command with one line that says why and what is kept, and with the exit status of the cause."""
    kept = "" if result is None else f"; {result.describe()}"
    print(f"error: {error}{kept}", file=sys.stderr)
    sys.exit(error.status if isinstance(error, Stopped) else OUTPUT_ERROR)
