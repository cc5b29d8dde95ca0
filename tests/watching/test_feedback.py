""" "This was normal": the recording is a reference from then on, and is none when that is taken back."""

import os
import subprocess
import sys

import pytest
from watched import write

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.watching import feedback
from modeling_retainmix.watching.feedback import confirm_recording, find_recording, undo_recording
from modeling_retainmix.watching.judge import DetectorJudge


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy")
    for seed in range(9):
        write(folder / f"{seed}.wav", 0.1 + 0.01 * seed, seed)
    return folder


def fitted(folder, **options):
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="whitened", normalization="none")
    return detector.fit(folder, **options)


@pytest.fixture
def detector(healthy, tmp_path):
    fitted(healthy).save_pretrained(tmp_path / "detector")
    return tmp_path / "detector"


@pytest.fixture
def watched(folder, watch, detector):
    """A watch that has decided two recordings of one name, the second in a subfolder, and one more."""
    for number, place in enumerate(("0.wav", "sub/0.wav", "b.wav")):
        os.utime(write(folder / place, 0.1, 50 + number), (1e9 + number, 1e9 + number))  # of one day
    watcher = watch(DetectorJudge(detector, device="cpu"))
    watcher.look()
    watcher.look()
    return watcher


def test_a_confirmed_recording_is_a_reference_until_it_is_undone(watched, state, detector, folder):
    before = DetectorJudge(detector, device="cpu").judge(folder / "b.wav")
    done = confirm_recording(state, detector, "b.wav", note="new belt")
    known = AnomalyDetector.from_pretrained(detector, device="cpu")
    assert done.confirmed == f"b-{done.content[:8]}.wav" == known.reference_names[-1]
    assert known.feedback_log[-1]["note"] == "new belt" and known.score(folder / "b.wav")[0] < before.score
    stored = state.recording(done.number)
    assert stored == done and stored.verdict == "normal" and stored.judgement == before
    with pytest.raises(ValueError, match="confirmed as normal already"):
        confirm_recording(state, detector, str(done.number))
    undo_recording(state, detector, str(done.number), note="was not")
    after = AnomalyDetector.from_pretrained(detector, device="cpu")
    assert len(after.reference_names) == 9 and after.feedback_log[-1]["action"] == "undone"
    assert after.score(folder / "b.wav")[0] == pytest.approx(before.score, rel=1e-5)
    assert state.recording(done.number).confirmed is None
    with pytest.raises(ValueError, match="nothing to undo"):
        undo_recording(state, detector, "b.wav")


def test_a_reference_of_the_same_name_is_no_obstacle_and_undo_takes_the_right_one(watched, state, detector, folder):
    done = [confirm_recording(state, detector, str(folder / name)) for name in ("0.wav", "sub/0.wav")]
    undo_recording(state, detector, str(done[0].number))
    names = AnomalyDetector.from_pretrained(detector, device="cpu").reference_names
    assert len(names) == 10 and done[1].confirmed in names and done[0].confirmed not in names and "0.wav" in names


def test_where_references_are_of_sessions_confirmed_recordings_of_one_day_are_one(watched, state, detector, healthy):
    fitted(healthy, groups=[f"day {number // 3}" for number in range(9)]).save_pretrained(detector)
    for recording in state.recordings():
        confirm_recording(state, detector, str(recording.number))
    known = AnomalyDetector.from_pretrained(detector, device="cpu")
    assert len(known.reference_names) == 12
    assert known.threshold_basis().unit == "groups" and known.threshold_basis().num_units == 4


def test_when_several_confirm_at_the_same_time_then_all_recordings_are_references(detector, tmp_path):
    files = [write(tmp_path / f"late_{number}.wav", 0.1, 70 + number) for number in range(3)]
    code = (
        "import sys; from modeling_retainmix import AnomalyDetector\n"
        "from modeling_retainmix.detection.saved_detector import locked\n"
        "with locked(sys.argv[1]):\n"
        "    known = AnomalyDetector.from_pretrained(sys.argv[1], device='cpu')\n"
        "    known.confirm_normal(sys.argv[2]).save_pretrained(sys.argv[1])\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, detector, str(file)]) for file in files]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    known = AnomalyDetector.from_pretrained(detector, device="cpu")
    assert sorted(known.reference_names[9:]) == [file.name for file in files]


def test_when_a_kill_came_between_detector_and_row_then_the_reference_is_not_added_twice(
    watched, state, detector, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(type(state), "set_confirmed", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            confirm_recording(state, detector, "b.wav")
    assert find_recording(state, "b.wav").confirmed is None
    confirm_recording(state, detector, "b.wav")
    assert len(AnomalyDetector.from_pretrained(detector, device="cpu").reference_names) == 10
    assert find_recording(state, "b.wav").confirmed is not None


def test_when_the_file_was_renamed_then_it_is_found_by_its_content(watched, state, detector, folder):
    (folder / "b.wav").rename(folder / "c.wav")
    watched.look(), watched.look()
    assert confirm_recording(state, detector, "b.wav").confirmed.startswith("b-")


def test_when_file_name_or_number_do_not_tell_then_error_says_what_would(watched, state, detector, folder):
    with pytest.raises(ValueError, match=r"0\.wav is the name of 2 recordings: give one of their numbers"):
        find_recording(state, "0.wav")
    for name in ("nothing.wav", "99"):
        with pytest.raises(ValueError, match="is no recording of this watch"):
            find_recording(state, name)
    assert find_recording(state, "2").number == 2
    (folder / "b.wav").unlink()
    with pytest.raises(FileNotFoundError, match="gone or has changed"):
        confirm_recording(state, detector, "b.wav")


def test_when_a_recording_cannot_be_read_then_it_is_no_reference(watched, state, detector, folder, clock):
    (folder / "broken.wav").write_bytes(b"RIFF")
    watched.look()
    clock.now += 61
    watched.look()
    with pytest.raises(ValueError, match=r"cannot be read .* so it is no reference"):
        confirm_recording(state, detector, "broken.wav")
    assert feedback.find_recording(state, "broken.wav").cause
