"""What commands print: results on standard output, everything else on standard error, so that pipes stay clean."""

import json
import math
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

Json = Annotated[bool, typer.Option("--json", help="Print results as JSON lines.")]

# Read by these libraries when they are imported. Progress and warnings of this package are its own.
_SILENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "DATASETS_VERBOSITY": "error",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}
_LIBRARIES = r"(accelerate|datasets|huggingface_hub|onnx|onnxscript|torch|torchaudio|transformers)(\.|$)"


def say(message: str) -> None:
    """Print what the command is doing, at once."""
    print(message, file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    """Print why something failed, in one line."""
    say(f"error: {_one_line(message)}")


def show(record: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print a result: the record as a line of JSON, or the text."""
    print(json_line(record) if as_json else text, flush=True)


def json_line(record: Mapping[str, Any]) -> str:
    """Write a record as strict JSON in one line; what is not a number or not finite becomes null."""
    return json.dumps({key: _plain(value) for key, value in record.items()}, allow_nan=False)


def silence_libraries() -> None:
    """Keep progress bars and advice of libraries off the terminal, unless the user's environment asks for them."""
    for name, value in _SILENT.items():
        os.environ.setdefault(name, value)


def chatty_environment() -> dict[str, str]:
    """Return the environment without `silence_libraries`, for a command that is a program of such a library."""
    return {name: value for name, value in os.environ.items() if _SILENT.get(name) != value}


@contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """Print the warnings of this package as one line each, and those of libraries not at all."""

    def print_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        say(f"warning: {_one_line(str(message))}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        for category in (DeprecationWarning, FutureWarning):  # some libraries derive theirs from both
            warnings.simplefilter("ignore", category)
        warnings.filterwarnings("ignore", module=_LIBRARIES)
        warnings.showwarning = print_warning
        yield


def _one_line(message: str) -> str:
    return " ".join(line.strip() for line in message.splitlines() if line.strip())


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
