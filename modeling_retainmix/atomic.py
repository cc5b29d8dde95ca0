"""Files and folders that are whole or absent: the only place of the package that writes aside and renames.

What is being made lies beside its final place under a name that begins with `.making-` and holds the machine, the
process and the time at which that process started. A killed process or a full disk may leave it behind; whoever makes
something in the same folder next removes

- what a process of this machine left that has ended (its id may meanwhile belong to a process that started later);
- what lies unchanged for seven days, whoever made it.

So processes that work in one folder at the same time do not disturb each other.
"""

import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = ".making-"

_SECONDS_UNTIL_ABANDONED = 7 * 24 * 3600
_CLOCK_ERROR = 2  # seconds by which the start time of one process may be reported differently


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `folder` at the end of the block.

    Of several processes that make the same folder, the first one's result stands.

    Args:
        folder: what is to be made; the folder around it is made where it is missing.
    """
    temporary = _beside(folder)
    temporary.mkdir()
    try:
        yield temporary
        try:
            temporary.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def whole_file(file: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a file to write, which replaces `file` at the end of the block.

    Readers see the old content or the new one. Of several processes that write the same file, the last one's stands.

    Args:
        file: what is to be written; its folder is made where it is missing. The temporary file has its suffix.
    """
    file = Path(file)
    temporary = _beside(file)
    try:
        yield temporary
        temporary.replace(file)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def moved_into(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder, whose files take the places of those of the same names in `folder` at the end.

    A folder that does not exist yet appears whole. In one that does, other files stay, and the files follow each other
    within moments: readers that need several of them alike see that some have changed, and read again.

    Args:
        folder: made where it is missing.

    Raises:
        NotADirectoryError: a file has this name.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: give the name of a folder")
    temporary = _beside(folder / "files" if folder.is_dir() else folder)
    temporary.mkdir()
    try:
        yield temporary
        if temporary.parent != folder:
            try:
                temporary.rename(folder)
                return
            except OSError:  # another process has made it meanwhile
                if not folder.is_dir():
                    raise
        for file in sorted(temporary.iterdir()):
            replace_file(file, folder / file.name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_file(finished: Path, file: Path) -> None:
    """Put a finished file of the same file system in the place of another one, or where there was none."""
    finished.replace(file)


def replace_folder(finished: Path, folder: Path) -> None:
    """Put a finished folder of the same file system in the place of another one, which is removed.

    Args:
        finished: the folder to move.
        folder: where it goes; what is there gives way.
    """
    if not folder.exists():
        finished.rename(folder)
        return
    aside = _beside(folder)
    folder.rename(aside)
    finished.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half made in a folder; nothing happens where it does not exist."""
    for entry in folder.iterdir() if folder.is_dir() else ():
        if entry.name.startswith(PREFIX) and _is_abandoned(entry):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _beside(place: Path) -> Path:
    """A name in the same folder that nobody else uses; removes what others abandoned there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(place.parent)
    started = round(psutil.Process().create_time())
    return place.with_name(f"{PREFIX}{platform.node()}-{os.getpid()}-{started}-{uuid.uuid4().hex}{place.suffix}")


def _is_abandoned(entry: Path) -> bool:
    name = re.fullmatch(rf"{re.escape(PREFIX + platform.node())}-(\d+)-(\d+)-[0-9a-f]{{32}}(\..*)?", entry.name)
    if name:
        try:
            started = psutil.Process(int(name[1])).create_time()
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
        if started > int(name[2]) + _CLOCK_ERROR:
            return True
    try:
        changed = max(path.lstat().st_mtime for path in [entry, *entry.rglob("*")])
    except OSError:  # its maker has just renamed it
        return False
    return time.time() - changed > _SECONDS_UNTIL_ABANDONED
