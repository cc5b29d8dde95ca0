"""What every stage of a run has: its time in the record, and its expected errors in one line."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_line_errors(*kinds: type[Exception], place: str = "", folder: str | None = None) -> Iterator[None]:
    """End the process with one line where an error of these kinds is raised: bad input, a full disk, a diverged loss.

    Args:
        kinds: what is expected; another error keeps its traceback.
        place: what the stage was doing, put before the error's text, unless the error is about input.
        folder: an error that names a file outside of this folder is about input.

    Raises:
        SystemExit: an error of these kinds; its message begins with "error: " and has one line.
    """
    try:
        yield
    except kinds as error:
        file = getattr(error, "filename", None)
        elsewhere = None not in (file, folder) and not Path(str(file)).is_relative_to(str(folder))
        about_input = isinstance(error, (ValueError, FileNotFoundError)) or elsewhere
        text = " ".join(line.strip() for line in str(error).splitlines())  # some libraries write several
        sys.exit(f"error: {text}" if about_input else f"error: {place}{text}")


@contextmanager
def timed(durations: dict[str, float], stage: str) -> Iterator[None]:
    """Record how many seconds a stage takes."""
    start = time.perf_counter()
    yield
    durations[stage] = time.perf_counter() - start
