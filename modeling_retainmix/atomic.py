"""Folders of a cache that are whole or absent."""

import os
import platform
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

# The machine is part of the name, since the cache may be shared by several.
_PREFIX = f".making-{platform.node()}-"


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Gives a temporary folder, which is renamed to `folder` at the end of the block.

    A killed process leaves nothing that is taken for the result, and the next one to make a folder beside it removes
    what it left. Of several processes that make the same folder, the first one's result stands.

    Args:
        folder: what is to be made; the folder around it is made where it is missing.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder.parent)
    temporary = folder.with_name(f"{_PREFIX}{os.getpid()}-{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        yield temporary
        _rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Removes the temporary folders of processes of this machine that are gone."""
    for entry in parent.iterdir():
        name = re.fullmatch(rf"{re.escape(_PREFIX)}(\d+)-[0-9a-f]{{32}}", entry.name)
        if name and not psutil.pid_exists(int(name[1])):
            shutil.rmtree(entry, ignore_errors=True)


def _rename(temporary: Path, folder: Path) -> None:
    """Puts a finished folder in its place; where another process was faster, its result stands."""
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
