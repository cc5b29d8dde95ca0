"""What a watch remembers: an SQLite database in which a recording and its deliveries appear together or not at all."""

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from modeling_retainmix.watching.arrivals import FileState
from modeling_retainmix.watching.places import check_local
from modeling_retainmix.watching.recording import Delivery, Judgement, Recording

STATE_FILE = "watch.sqlite"
SCHEMA_VERSION = 1

_SECONDS_FOR_LOCK = 60

_SCHEMA = """
CREATE TABLE recordings (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    content TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    recorded REAL NOT NULL,
    decided REAL NOT NULL,
    alarm TEXT NOT NULL,
    cause TEXT,
    confirmed TEXT,
    score REAL,
    num_windows INTEGER,
    threshold REAL,
    upper_quartile REAL,
    false_alarm_rate REAL,
    detector TEXT,
    warnings TEXT
);
CREATE INDEX recordings_decided ON recordings (decided);
CREATE TABLE files (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    status_changed INTEGER NOT NULL,
    content TEXT NOT NULL
);
CREATE INDEX files_content ON files (content);
CREATE TABLE deliveries (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    hook TEXT NOT NULL,
    hook_name TEXT NOT NULL,
    payload TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due REAL NOT NULL,
    error TEXT NOT NULL
);
CREATE INDEX deliveries_hook ON deliveries (hook, sequence);
"""
_COLUMNS = (
    "number, content, path, recorded, decided, alarm, cause, confirmed, score, num_windows, threshold, "
    "upper_quartile, false_alarm_rate, detector, warnings"
)


class WatchState:
    """The database of one watched folder. Threads and processes open one each, and writers wait for each other.

    It keeps SQLite's rollback journal: a write-ahead log needs shared memory, which some file systems lack. Every
    commit is on the disk before it counts, and no power cut undoes it: `synchronous=EXTRA`, which is FULL and the
    folder of the journal.

    Args:
        folder: made where it is missing; the database is `watch.sqlite` in it.

    Raises:
        ValueError: the folder is on a network share, or the database is damaged or of a newer version.
        OSError: it cannot be written.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        check_local(folder)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / STATE_FILE
        with self._named_errors():
            self._database = sqlite3.connect(self.file, timeout=_SECONDS_FOR_LOCK, isolation_level=None)
        try:
            self._execute("PRAGMA journal_mode=DELETE")
            self._execute("PRAGMA synchronous=EXTRA")
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is done in the block one step: all of it, or nothing."""
        with self._named_errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def find(self, content: str) -> Recording | None:
        """Return the recording of a content; None: there is none yet."""
        rows = self._recordings("WHERE content = ?", (content,))
        return rows[0] if rows else None

    def recording(self, number: int) -> Recording | None:
        """Return a recording by its number; None: there is none."""
        rows = self._recordings("WHERE number = ?", (number,))
        return rows[0] if rows else None

    def recordings(self, since: float = float("-inf")) -> list[Recording]:
        """List the recordings that were decided since a time, in the order of decisions."""
        return self._recordings("WHERE decided >= ? ORDER BY number", (since,))

    def last_decided(self, count: int) -> list[Recording]:
        """List the last recordings that could be read, in the order of decisions."""
        return self._recordings("WHERE cause IS NULL ORDER BY number DESC LIMIT ?", (count,))[::-1]

    def last_alarm(self) -> bool:
        """Whether the alarm is on."""
        rows = self._recordings("ORDER BY number DESC LIMIT 1", ())
        return bool(rows) and rows[0].is_alarm

    def add(self, recording: Recording) -> Recording:
        """Store a recording and return it with its number; one of the same content gives way."""
        judged: Sequence[Any] = recording.judgement or [None] * 7
        *numbers, warnings = judged
        values = (
            *(recording.content, recording.path, recording.recorded, recording.decided, recording.alarm),
            *(recording.cause, recording.confirmed, *numbers, json.dumps(warnings)),
        )
        self._execute("DELETE FROM recordings WHERE content = ?", (recording.content,))
        columns = _COLUMNS.removeprefix("number, ")
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT INTO recordings ({columns}) VALUES ({marks})", values)
        (stored,) = self._recordings("WHERE content = ?", (recording.content,))
        return stored

    def set_confirmed(self, number: int, name: str | None) -> None:
        """Note the name under which a person's word made a recording a reference; None: it is none any more."""
        self._execute("UPDATE recordings SET confirmed = ? WHERE number = ?", (name, number))

    def files(self) -> dict[bytes, FileState]:
        """Return the files whose content is known: {path as bytes: state}."""
        rows = self._execute("SELECT path, size, changed, status_changed FROM files")
        return {bytes(path): FileState(*state) for path, *state in rows}

    def files_of(self, content: str) -> list[Path]:
        """List the files that hold a content."""
        rows = self._execute("SELECT path FROM files WHERE content = ? ORDER BY path", (content,))
        return [Path(os.fsdecode(path)) for (path,) in rows]

    def remember_file(self, path: bytes, state: FileState, content: str) -> None:
        """Note what a file holds. A recording that cannot be read goes when no file holds it any more."""
        before = self._execute("SELECT content FROM files WHERE path = ?", (path,))
        self._execute("REPLACE INTO files VALUES (?, ?, ?, ?, ?)", (path, *state, content))
        for (old,) in before:
            if old != content and not self.files_of(old):
                self._execute("DELETE FROM recordings WHERE content = ? AND cause IS NOT NULL", (old,))

    def forget_files(self, paths: Sequence[bytes]) -> None:
        """Forget files that are gone; their recordings stay."""
        for path in paths:
            self._execute("DELETE FROM files WHERE path = ?", (path,))

    def forget_unreadable_files(self) -> None:
        """Let files that could not be read be tried again, as after other options were given."""
        self._execute("DELETE FROM files WHERE content IN (SELECT content FROM recordings WHERE cause IS NOT NULL)")

    def unreadable_files(self) -> dict[str, str]:
        """Return the files that cannot be read, {file: cause}."""
        rows = self._execute(
            "SELECT files.path, cause FROM files JOIN recordings USING (content) WHERE cause IS NOT NULL ORDER BY 1"
        )
        return {os.fsdecode(path): cause for path, cause in rows}

    def queue(self, delivery: Delivery) -> None:
        """Store a delivery, unless it is there."""
        self._execute(
            "INSERT OR IGNORE INTO deliveries (key, hook, hook_name, payload, tries, due, error) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(delivery.key, delivery.hook, delivery.hook_name, delivery.payload),
                *(delivery.tries, delivery.due, delivery.error),
            ),
        )

    def due_deliveries(self, hook: str, due: float, count: int) -> list[Delivery]:
        """List the first deliveries to a hook that are due by a time, in the order of events, at most so many."""
        rows = self._execute(
            "SELECT key, hook, hook_name, payload, tries, due, error FROM deliveries WHERE hook = ? AND due <= ? "
            "ORDER BY sequence LIMIT ?",
            (hook, due, count),
        )
        return [Delivery(*row) for row in rows]

    def count_deliveries(self) -> dict[tuple[str, str], int]:
        """Count the deliveries that wait: {(id of the hook, its name): number}."""
        rows = self._execute("SELECT hook, hook_name, COUNT(*) FROM deliveries GROUP BY hook ORDER BY hook_name")
        return {(hook, name): count for hook, name, count in rows}

    def postpone(self, delivery: Delivery, tries: int, due: float, error: str) -> None:
        """Note a try without success."""
        self._execute(
            "UPDATE deliveries SET tries = ?, due = ?, error = ? WHERE key = ?", (tries, due, error, delivery.key)
        )

    def remove_delivery(self, delivery: Delivery) -> None:
        """Forget a delivery that has arrived, or is in the file of dead letters."""
        self._execute("DELETE FROM deliveries WHERE key = ?", (delivery.key,))

    def _prepare(self) -> None:
        with self.transaction():
            ((version,),) = self._execute("PRAGMA user_version")
            if version > SCHEMA_VERSION:
                raise ValueError(
                    f"{self.file} was written by a newer version of this package: update it, or give another folder "
                    "as --state"
                )
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._execute(statement)
                self._execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _recordings(self, where: str, values: Sequence[Any]) -> list[Recording]:
        found = []
        for row in self._execute(f"SELECT {_COLUMNS} FROM recordings {where}", values):
            number, content, path, recorded, decided, alarm, cause, confirmed, *judged, warnings = row
            judgement = None if cause is not None else Judgement._make([*judged, tuple(json.loads(warnings))])
            found.append(Recording(content, path, recorded, decided, judgement, cause, alarm, number, confirmed))
        return found

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._named_errors():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:  # locked, full disk, no permission
            raise OSError(f"{self.file} cannot be used ({error}): check the disk and permissions") from error
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f"{self.file} is damaged or no database of a watch ({error}): give another folder as --state, which "
                "scores all recordings again"
            ) from error
