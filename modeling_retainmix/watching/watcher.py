"""The watch of a folder: find, wait until whole, decide once, and store the decision with all that follows from it."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from modeling_retainmix.audio_files import FoundFiles, find_audio_files, shown_name
from modeling_retainmix.detection.hysteresis import Hysteresis
from modeling_retainmix.watching.arrivals import PATIENCE, Arrivals, FileState
from modeling_retainmix.watching.hooks import Hook
from modeling_retainmix.watching.judge import Judge
from modeling_retainmix.watching.recording import Alarm, Judgement, Recording, delivery
from modeling_retainmix.watching.state import WatchState

UNREADABLE = "unreadable:"  # stands for the content of a file that cannot be opened

_BLOCK = 2**20


class Watcher:
    """Decide every recording of a folder once.

    A recording is known by its content: a renamed file or a copy is no new one, a file whose content changes is. A
    file that cannot be read is a recording with a cause; it is tried again when it changes, and when a watch begins.
    The row of a recording and its deliveries are stored in one transaction, so that a kill at any moment leaves both
    or none.

    Args:
        folder: to watch, with its subfolders.
        judge: decides.
        state: what is remembered.
        hooks: to which each recording is delivered.
        raise_at: the alarm is raised when so many of the last `of_last` recordings are anomalous, and cleared when
            none of them is; see `Hysteresis`.
        of_last: so many recordings are looked at.
        patience: as in `Arrivals`.
        clock: seconds since 1970.
        hold: entered around each recording, to put signals off.
        on_recording: called with each recording when it is stored.
        on_problem: called with a sentence when the folder is away, once.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: numbers that do not fit `Hysteresis`.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        judge: Judge,
        state: WatchState,
        hooks: Sequence[Hook] = (),
        raise_at: int = 3,
        of_last: int = 5,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.time,
        hold: Callable[[], AbstractContextManager[None]] = nullcontext,
        on_recording: Callable[[Recording], None] = lambda recording: None,
        on_problem: Callable[[str], None] = lambda problem: None,
    ) -> None:
        self._folder = Path(os.path.abspath(folder))  # rows and events are read elsewhere
        if not self._folder.is_dir():
            raise FileNotFoundError(f"{folder} does not exist or is not a folder: check the path")
        Hysteresis(raise_at, of_last)
        self._judge, self._state, self._hooks = judge, state, hooks
        self._raise_at, self._of_last = raise_at, of_last
        self._clock, self._hold, self._on_recording, self._on_problem = clock, hold, on_recording, on_problem
        self._arrivals = Arrivals(patience, clock)
        self._is_away = False
        with state.transaction():
            state.forget_unreadable_files()
        self._known = state.files()

    @property
    def waiting(self) -> dict[Path, str]:
        """The files that are not taken yet, and why: the ends of sentences that begin with their names."""
        return dict(self._arrivals.waiting)

    def look(self) -> list[Recording]:
        """Look at the folder once, and decide what is whole, oldest first.

        Returns:
            The new recordings.

        Raises:
            OSError, ValueError: the state cannot be written, or the folder's links have no end.
        """
        self._judge.refresh()
        found = self._find()
        if found is None:
            return []
        paths = [*found.files, *found.problems]
        self._arrivals.keep_only(paths)
        gone = self._known.keys() - {os.fsencode(path) for path in paths}
        if gone:
            with self._state.transaction():
                self._state.forget_files(sorted(gone))
            for name in gone:
                del self._known[name]
        whole = []
        for path in paths:
            if not self._is_known(path):
                state = self._arrivals.look(path, path in found.problems)
                if state is not None:
                    whole.append((state.changed, path, state))
        recordings = []
        for _, path, state in sorted(whole):
            with self._hold():
                recording = self._take(path, state, found.problems.get(path))
                if recording is not None:
                    recordings.append(recording)
                    self._on_recording(recording)
        return recordings

    def _find(self) -> FoundFiles | None:
        try:
            found = find_audio_files(self._folder, may_be_empty=True)
        except FileNotFoundError as error:
            if not self._is_away:
                self._on_problem(f"{error}; the watch waits for it")
            self._is_away = True
            return None
        self._is_away = False
        return found

    def _is_known(self, path: Path) -> bool:
        known = self._known.get(os.fsencode(path))
        return known is not None and self._is_still(path, known)

    def _is_still(self, path: Path, state: FileState) -> bool:
        try:
            return FileState.of(path) == state
        except OSError:
            return False

    def _take(self, path: Path, state: FileState, cause: str | None) -> Recording | None:
        """Decide a file; None: its content is known, or it has to wait."""
        name, key = shown_name(path), os.fsencode(path)
        try:
            content = content_of(path)
        except OSError as error:
            content = UNREADABLE + hashlib.sha256(key).hexdigest()
            cause = cause or f"cannot be opened ({error.strerror}): check its permissions"
        known = self._state.find(content)
        judgement: Judgement | None = None
        if cause is None and (known is None or known.cause is not None):
            try:
                judgement = self._judge.judge(path)
            except (FileNotFoundError, ValueError) as error:
                cause = str(error).removeprefix(name).strip()
                if self._arrivals.is_fresh(path):
                    self._arrivals.wait(path, cause)
                    return None
        if not self._is_still(path, state):  # what was decided is not what is there
            self._arrivals.forget(path)
            return None
        recording = None
        with self._state.transaction():
            self._state.remember_file(key, state, content)
            if known is None or (known.cause is not None and known.cause != cause):
                decided = Recording(content, name, state.changed / 1e9, self._clock(), judgement, cause)
                recording = self._store(decided)
        self._known[key] = state
        self._arrivals.forget(path)
        return recording

    def _store(self, decided: Recording) -> Recording:
        stored = self._state.add(replace(decided, alarm=self._alarm(decided)))
        for hook in self._hooks:
            self._state.queue(delivery(stored, hook.id, hook.name))
        return stored

    def _alarm(self, recording: Recording) -> Alarm:
        """Return what becomes of the alarm with one more recording."""
        hysteresis = Hysteresis(self._raise_at, self._of_last)
        for earlier in self._state.last_decided(self._of_last - 1):
            hysteresis.update(earlier.is_anomalous)
        before = self._state.last_alarm()
        hysteresis.is_raised = before
        after = hysteresis.update(recording.is_anomalous)
        names: dict[tuple[bool, bool], Alarm] = {
            (False, False): "off",
            (False, True): "raised",
            (True, True): "on",
            (True, False): "cleared",
        }
        return names[before, after]


def content_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
