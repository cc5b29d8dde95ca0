"""Every content is decided once, whatever becomes of its files; a row and its deliveries come together."""

import os

import pytest
from watched import FakeHook, PeakJudge, write

from modeling_retainmix.watching.recording import Judgement
from modeling_retainmix.watching.watcher import content_of


def take(watcher):
    watcher.look()
    return watcher.look()


def age(path, seconds, clock):
    os.utime(path, (clock.now - seconds,) * 2)


def test_when_recordings_appear_then_each_has_one_row_with_what_it_was_decided_by(folder, state, watch, clock):
    write(folder / "b.wav", 0.9, seed=1), write(folder / "sub" / "a.wav", 0.1, seed=2)
    age(folder / "b.wav", 100, clock), age(folder / "sub" / "a.wav", 50, clock)
    watcher = watch()
    first, second = take(watcher)
    assert (first.path, second.path) == (str(folder / "b.wav"), str(folder / "sub" / "a.wav"))  # oldest first
    assert [first.verdict, second.verdict] == ["anomalous", "normal"]
    assert first.judgement == Judgement(pytest.approx(0.9, abs=1e-4), 1, 0.5, 0.2, 0.1, "peak")
    assert first.recorded == pytest.approx(clock.now - 100) and first.decided == clock.now
    assert first.content == content_of(folder / "b.wav")
    assert watcher.look() == [] and state.recordings() == [first, second]


def test_when_the_watch_begins_again_then_nothing_is_scored_twice(folder, watch):
    write(folder / "a.wav")
    assert len(take(watch())) == 1
    judge = PeakJudge()
    assert take(watch(judge)) == [] and judge.judged == []


def test_when_a_file_is_renamed_copied_or_deleted_then_no_recording_is_added_or_lost(folder, state, watch):
    write(folder / "a.wav")
    watcher = watch()
    take(watcher)
    (folder / "a.wav").rename(folder / "b.wav")
    (folder / "copy.flac").write_bytes((folder / "b.wav").read_bytes())
    assert take(watcher) == []
    (folder / "b.wav").unlink(), (folder / "copy.flac").unlink()
    assert take(watcher) == []
    assert len(state.recordings()) == 1 and state.files() == {}
    write(folder / "again.wav")
    assert take(watcher) == []


def test_when_the_content_of_a_file_changes_then_it_is_a_new_recording(folder, state, watch):
    write(folder / "a.wav", 0.1)
    watcher = watch()
    take(watcher)
    write(folder / "a.wav", 0.9)
    (changed,) = take(watcher)
    assert changed.verdict == "anomalous" and [one.verdict for one in state.recordings()] == ["normal", "anomalous"]


def test_when_a_file_grows_between_the_looks_then_it_waits(folder, watch):
    whole = write(folder / "whole.wav").read_bytes()
    (folder / "whole.wav").unlink()
    watcher, path = watch(), folder / "a.wav"
    path.write_bytes(whole[:1000])
    for size in (5000, 9000, len(whole)):
        assert watcher.look() == [] and path in watcher.waiting
        path.write_bytes(whole[:size])
    assert watcher.look() == []
    (recording,) = watcher.look()
    assert recording.verdict == "normal" and watcher.waiting == {}


def test_when_a_cut_file_stays_cut_then_it_is_a_row_with_its_cause_and_its_repair_takes_its_place(
    folder, state, watch, clock
):
    whole = write(folder / "a.wav").read_bytes()
    (folder / "a.wav").write_bytes(whole[:9000])
    age(folder / "a.wav", 0, clock)
    hook = FakeHook()
    watcher = watch(hooks=[hook])
    assert take(watcher) == [] and "is cut" in watcher.waiting[folder / "a.wav"]
    clock.now += 61
    (broken,) = watcher.look()
    assert broken.verdict == "unreadable" and broken.cause.startswith("is cut") and broken.judgement is None
    assert take(watcher) == []
    (folder / "a.wav").write_bytes(whole)
    (repaired,) = take(watcher)
    assert repaired.verdict == "normal" and state.recordings() == [repaired]
    keys = [one.key for one in state.due_deliveries("fake", clock.now, 9)]
    assert len(keys) == len({*keys}) == 2


def test_when_a_damaged_flac_has_just_arrived_then_it_waits_for_the_rest(folder, watch, clock):
    whole = write(folder / "a.flac").read_bytes()
    (folder / "a.flac").write_bytes(whole[: len(whole) // 2])
    age(folder / "a.flac", 0, clock)
    watcher = watch()
    assert take(watcher) == [] and "decoded" in watcher.waiting[folder / "a.flac"]
    (folder / "a.flac").write_bytes(whole)
    assert [one.verdict for one in take(watcher)] == ["normal"]


def test_when_a_file_cannot_be_read_then_the_next_watch_tries_it_again_without_a_second_row(folder, state, watch):
    write(folder / "a.wav")

    class Refusing(PeakJudge):
        def judge(self, path):
            raise ValueError(f"{path} has 2 channels: use --channel")

    (first,) = take(watch(Refusing(), patience=0))
    assert first.cause == "has 2 channels: use --channel" and state.recordings() == [first]
    assert take(watch(Refusing(), patience=0)) == [] and state.recordings() == [first]
    (second,) = take(watch())
    assert second.verdict == "normal" and state.recordings() == [second]


def test_when_a_link_leads_nowhere_then_it_is_a_row_until_it_leads_somewhere(folder, state, watch, tmp_path):
    (folder / "a.wav").symlink_to(tmp_path / "elsewhere.wav")
    watcher = watch()
    (broken,) = take(watcher)
    assert "does not exist" in broken.cause and broken.content.startswith("unreadable:")
    write(tmp_path / "elsewhere.wav")
    (recording,) = take(watcher)
    assert recording.verdict == "normal" and state.recordings() == [recording]


def test_when_a_format_is_foreign_then_its_row_says_so(folder, watch):
    (folder / "a.m4a").write_bytes(b"\0" * 100)
    (recording,) = take(watch())
    assert "convert it to WAV" in recording.cause


def test_when_a_file_changes_while_it_is_scored_then_the_score_is_dropped(folder, state, watch):
    write(folder / "a.wav", 0.1)

    class Slow(PeakJudge):
        def judge(self, path):
            found = super().judge(path)
            if len(self.judged) == 1:
                write(path, 0.9)
            return found

    watcher = watch(Slow())
    assert take(watcher) == [] and state.recordings() == []
    assert [one.verdict for one in take(watcher)] == ["anomalous"]


def test_when_m_of_n_are_anomalous_then_the_alarm_is_raised_also_across_a_new_beginning(folder, watch):
    alarms = []
    for number, peak in enumerate([0.9, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1]):
        write(folder / f"{number}.wav", peak, seed=number)
        (recording,) = take(watch(raise_at=2, of_last=3))
        alarms.append(recording.alarm)
    assert alarms == ["off", "off", "raised", "on", "on", "on", "cleared", "off"]


def test_when_a_file_cannot_be_read_then_it_clears_no_alarm(folder, watch, clock):
    alarms = []
    for number, peak in enumerate([0.9, 0.9, 0.1, 0.1, None, 0.1]):
        path = folder / f"{number}.wav"
        write(path, peak, seed=number) if peak else path.write_text("no sound at all")
        clock.now += 3600  # nothing is waited for
        alarms += [one.alarm for one in take(watch(raise_at=2, of_last=3))]
    assert alarms == ["off", "raised", "on", "on", "on", "cleared"]


def test_when_the_row_is_stored_then_its_deliveries_are_and_else_neither_is(folder, state, watch, clock):
    write(folder / "a.wav")

    class Breaking(FakeHook):
        @property
        def name(self):
            raise RuntimeError("killed between row and delivery")

        @name.setter
        def name(self, value):
            pass

    watcher = watch(hooks=[FakeHook("one"), Breaking("two")])
    watcher.look()
    with pytest.raises(RuntimeError, match="killed"):
        watcher.look()
    assert state.recordings() == [] and state.count_deliveries() == {} and state.files() == {}
    take(watch(hooks=[FakeHook("one"), FakeHook("two")]))
    assert state.count_deliveries() == {("one", "one"): 1, ("two", "two"): 1}


def test_when_the_folder_goes_away_then_the_watch_says_so_once_and_waits(folder, watch, tmp_path):
    problems = []
    write(folder / "a.wav")
    watcher = watch(on_problem=problems.append)
    take(watcher)
    folder.rename(tmp_path / "away")
    assert take(watcher) == [] and len(problems) == 1 and "does not exist" in problems[0]
    (tmp_path / "away").rename(folder)
    assert take(watcher) == []


def test_when_there_is_no_folder_or_no_such_hysteresis_then_error(watch, folder):
    with pytest.raises(ValueError, match="raise_at=3"):
        watch(raise_at=3, of_last=2)
    folder.rmdir()
    with pytest.raises(FileNotFoundError, match="recordings"):
        watch()


def test_when_a_name_is_not_utf_8_then_it_is_scored_and_told_with_its_bytes(folder, watch):
    write(folder / "a.wav").rename(folder / os.fsdecode(b"pump\xff.wav"))
    (recording,) = take(watch())
    assert recording.path.endswith("pump\\udcff.wav") and recording.verdict == "normal"
    assert take(watch()) == []
