"""The database: what is committed stays, what is not is not there, and what is no state is named."""

import sqlite3
from dataclasses import replace

import pytest

from modeling_retainmix.watching import state as module
from modeling_retainmix.watching.arrivals import FileState
from modeling_retainmix.watching.recording import Delivery, Judgement, Recording
from modeling_retainmix.watching.state import WatchState


def judged(content, score=1.5, **others):
    judgement = Judgement(score, 2, 3.5, None, 0.1, "abc", ("one", "two"))
    return Recording(content, f"{content}.wav", 1.0, others.pop("decided", 2.0), judgement, **others)


def unread(content):
    return Recording(content, f"{content}.wav", 1.0, 2.0, None, "is cut")


def test_when_a_state_is_opened_again_then_all_is_as_it_was(tmp_path):
    with WatchState(tmp_path / "s") as state:
        stored = [state.add(judged("a", alarm="raised")), state.add(unread("b"))]
        state.set_confirmed(1, "a-1.wav")
    with WatchState(tmp_path / "s") as state:
        first, second = state.recordings()
        assert first == replace(stored[0], confirmed="a-1.wav") and (first.number, first.alarm) == (1, "raised")
        assert second == stored[1] and second.is_anomalous is None
        assert state.find("a") == first and state.find("c") is None and state.recording(2) == second
        assert state.last_decided(5) == [first] and state.last_alarm() is False


def test_when_a_content_is_added_twice_then_one_row_stays(state):
    state.add(judged("a"))
    later = state.add(judged("a", score=9.0))
    assert state.recordings() == [later] and later.number == 2


def test_when_a_transaction_fails_then_nothing_of_it_stays(state):
    with pytest.raises(RuntimeError), state.transaction():
        state.add(judged("a"))
        state.queue(Delivery("k", "h", "hook", "{}"))
        raise RuntimeError
    assert state.recordings() == [] and state.count_deliveries() == {}
    with state.transaction():
        state.add(judged("a"))
    assert len(state.recordings()) == 1


def test_recordings_since_a_time_are_those_decided_since(state):
    for decided in (1.0, 5.0, 3.0):
        state.add(judged(str(decided), decided=decided))
    assert [one.decided for one in state.recordings(3.0)] == [5.0, 3.0]


def test_when_no_file_holds_an_unreadable_content_any_more_then_its_row_goes(state):
    nothing = FileState(1, 2, 3)
    state.add(unread("cut")), state.add(judged("fine"))
    state.remember_file(b"one.wav", nothing, "cut"), state.remember_file(b"two.wav", nothing, "cut")
    state.remember_file(b"one.wav", nothing, "fine")
    assert state.find("cut") is not None
    state.remember_file(b"two.wav", nothing, "fine")
    assert state.find("cut") is None
    state.remember_file(b"two.wav", nothing, "other")
    assert state.find("fine") is not None and state.files_of("fine")[0].name == "one.wav"
    state.forget_files([b"one.wav"])
    assert state.files() == {b"two.wav": nothing} and state.find("fine") is not None


def test_when_a_delivery_is_queued_twice_then_it_waits_once_and_due_ones_come_in_order(state):
    for key, due in (("k1", 5.0), ("k2", 1.0), ("k3", 9.0), ("k1", 5.0)):
        state.queue(Delivery(key, "h", "hook", "{}", due=due))
    state.queue(Delivery("k4", "other", "other hook", "{}"))
    assert [one.key for one in state.due_deliveries("h", 5.0, 9)] == ["k1", "k2"]
    assert [one.key for one in state.due_deliveries("h", 5.0, 1)] == ["k1"]
    assert state.count_deliveries() == {("h", "hook"): 3, ("other", "other hook"): 1}
    (first, _) = state.due_deliveries("h", 5.0, 9)
    state.postpone(first, 3, 7.0, "status 500")
    state.remove_delivery(state.due_deliveries("h", 5.0, 9)[0])
    assert state.due_deliveries("h", 8.0, 9) == [Delivery("k1", "h", "hook", "{}", 3, 7.0, "status 500")]


def test_the_database_has_no_write_ahead_log_and_writes_through(state):
    (mode,), (level,) = (state._execute(f"PRAGMA {name}")[0] for name in ("journal_mode", "synchronous"))
    assert mode == "delete" and level >= 2  # FULL or more


def test_when_the_schema_is_newer_then_error_says_what_to_do(tmp_path):
    WatchState(tmp_path).close()
    with sqlite3.connect(tmp_path / "watch.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match=r"watch\.sqlite was written by a newer version"):
        WatchState(tmp_path)


def test_when_the_file_is_no_database_then_error_names_it(tmp_path):
    (tmp_path / "watch.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(ValueError, match=r"watch\.sqlite is damaged or no database"):
        WatchState(tmp_path)


def test_when_the_database_is_locked_for_long_then_error_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SECONDS_FOR_LOCK", 0.05)
    locked = pytest.raises(OSError, match=r"watch\.sqlite cannot be used \(database is locked")
    with WatchState(tmp_path) as one, WatchState(tmp_path) as other, one.transaction(), locked, other.transaction():
        pass
