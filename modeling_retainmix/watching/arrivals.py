"""Which files of a folder are whole: they have stopped changing, and their headers agree with their sizes."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, Self

import soundfile as sf

from modeling_retainmix.audio_files import shown_name
from modeling_retainmix.sound_header import Length, check_length

PATIENCE = 60.0
"""Seconds without a change after which a file is read although it does not look whole."""

_TEMPORARY = frozenset({".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download"})
_UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's length of a FLAC stream that does not say it


class FileState(NamedTuple):
    """What changes when a file does: size in bytes, and the times of change of content and of status, in ns."""

    size: int
    changed: int
    status_changed: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at a file, or at a link to nothing.

        Raises:
            OSError: it is gone.
        """
        try:
            status = path.stat()
        except OSError:
            status = path.lstat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Arrivals:
    """Watch files until they are whole.

    A file is whole when two looks find it alike and its header agrees with its size. One whose header does not, or
    says nothing of the length (MP3, a recorder that has not stopped), is taken after `patience` seconds without a
    change: reading it says what is wrong.

    Args:
        patience: in seconds.
        clock: seconds since 1970.

    Attributes:
        waiting: {path: why it is not taken yet}.
    """

    def __init__(self, patience: float = PATIENCE, clock: Callable[[], float] = time.time) -> None:
        self.waiting: dict[Path, str] = {}
        self._patience, self._clock = patience, clock
        self._seen: dict[Path, tuple[FileState, float]] = {}

    def look(self, path: Path, has_problem: bool = False) -> FileState | None:
        """Look at a file once more: its state if it is whole, None if it has to wait or is gone.

        Args:
            path: of the file.
            has_problem: whether it is known not to be readable, so that two looks are enough.
        """
        if path.suffix.lower() in _TEMPORARY:
            self.waiting[path] = "has a temporary name"
            return None
        try:
            state = FileState.of(path)
        except OSError:
            self.forget(path)
            return None
        if path not in self._seen or self._seen[path][0] != state:
            self._seen[path] = (state, self._clock())
            self.waiting[path] = "has just arrived or changed"
            return None
        doubt = None if has_problem else _doubt(path)
        if doubt is not None and self.is_fresh(path):
            self.waiting[path] = doubt
            return None
        self.waiting.pop(path, None)
        return state

    def is_fresh(self, path: Path) -> bool:
        """Whether a file that was looked at may still be on its way: it changed within `patience`."""
        state, since = self._seen[path]
        now = self._clock()
        return now - min(since, state.changed / 1e9) < self._patience

    def wait(self, path: Path, why: str) -> None:
        """Let a file wait for its next look."""
        self.waiting[path] = why

    def forget(self, path: Path) -> None:
        """Forget a file that was taken, or is gone."""
        self._seen.pop(path, None)
        self.waiting.pop(path, None)

    def keep_only(self, paths: Iterable[Path]) -> None:
        """Forget all files but these."""
        for path in {*self._seen, *self.waiting} - {*paths}:
            self.forget(path)


def _doubt(path: Path) -> str | None:
    """Say why a file may not be whole, as the end of a sentence that begins with its name; None: it looks whole."""
    name = shown_name(path)
    try:
        with path.open("rb", buffering=0) as file:
            if file.seek(0, os.SEEK_END) == 0:
                return "is empty"
            length = check_length(file, name)
            if length is Length.UNKNOWN:
                return "does not say how long it is"
            if length is Length.SHORT:  # of a recorder that counts its header as sound, or the end is on its way
                return "is a few bytes shorter than its header declares"
            with sf.SoundFile(file) as sound:
                if sound.frames in (0, _UNKNOWN_FRAMES) or sound.format in ("MP3", "MPEG"):
                    return "does not say how long it is"
    except sf.LibsndfileError as error:
        return f"cannot be decoded ({error.error_string})"
    except ValueError as error:
        return str(error).removeprefix(name).strip()
    except OSError as error:
        return f"cannot be opened ({error.strerror})"
    return None
