"""What a person confirms becomes a reference, is logged, and can be undone."""

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix import AnomalyDetector

RATE = 16000


@pytest.fixture
def detector(tiny_checkpoint, clips):
    return AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", backend="knn").fit(clips[:6], RATE)


@pytest.fixture
def files(clips, tmp_path):
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for path, clip in zip(paths, clips[8:], strict=False):
        sf.write(path, clip, RATE, subtype="FLOAT")
    return [str(path) for path in paths]


def test_a_confirmed_recording_is_a_reference_until_it_is_undone(detector, files, tests, tmp_path):
    before = detector.score(tests, RATE)
    detector.confirm_normal(files, note="belt was new").undo_confirm(files[1], note="was worn after all")
    assert detector.score(files[0])[0] == pytest.approx(0, abs=1e-3)
    assert detector.reference_names[-1] == files[0] and len(detector.reference_names) == 7
    log = [(entry["action"], entry["names"], entry["note"]) for entry in detector.feedback_log]
    assert log == [("confirmed normal", files, "belt was new"), ("undone", files[1:], "was worn after all")]
    detector.save_pretrained(tmp_path / "saved")
    loaded = AnomalyDetector.from_pretrained(tmp_path / "saved", device="cpu")
    assert [entry["names"] for entry in loaded.feedback_log] == [["a.wav", "b.wav"], ["b.wav"]]
    for one, name in ((detector, files[0]), (loaded, "a.wav")):
        one.undo_confirm(name)
        np.testing.assert_allclose(one.score(tests, RATE), before, rtol=1e-5)
        assert one._fitted().tensors["recording_index"].tolist() == list(range(6))


def test_when_nothing_of_that_name_was_confirmed_then_error_names_what_was(detector, files):
    detector.confirm_normal(files[0])
    for name in ("clip 0", files[1]):
        with pytest.raises(ValueError, match=r"is not confirmed as normal.*use one of .*a\.wav"):
            detector.undo_confirm(name)
    detector.undo_confirm(files[0])
    with pytest.raises(ValueError, match="no recording is confirmed"):
        detector.undo_confirm(files[0])


def test_when_two_references_have_one_name_then_undo_takes_the_confirmed_one_alone(detector, files, tmp_path, tests):
    before = detector.score(tests, RATE)
    detector.confirm_normal(files[0]).save_pretrained(tmp_path / "saved")
    loaded = AnomalyDetector.from_pretrained(tmp_path / "saved", device="cpu")
    (tmp_path / "day2").mkdir()
    sf.write(tmp_path / "day2" / "a.wav", np.random.default_rng(5).normal(0, 0.1, RATE), RATE)
    loaded.add_references(str(tmp_path / "day2" / "a.wav")).save_pretrained(tmp_path / "saved")
    again = AnomalyDetector.from_pretrained(tmp_path / "saved", device="cpu")
    again.undo_confirm("a.wav")
    assert again.reference_names[6:] == ["a.wav"] and len(again._fitted().tensors["fingerprints"]) == 7
    assert (again.score(tests, RATE) <= before * (1 + 1e-5)).all()
    assert again.score(str(tmp_path / "day2" / "a.wav"))[0] == pytest.approx(0, abs=1e-3)


def test_where_references_are_of_sessions_all_that_is_confirmed_on_a_day_is_one(tiny_checkpoint, clips, files):
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", backend="knn")
    detector.fit(clips[:6], RATE, groups=["a", "a", "b", "b", "c", "c"])
    detector.confirm_normal(files)
    assert detector.threshold_basis().num_units == 4
    detector.undo_confirm(files[0]).confirm_normal(files[0], groups=["d"])
    assert detector.threshold_basis().num_units == 5


def test_when_a_name_is_taken_then_error_asks_for_another(detector, clips, files):
    with pytest.raises(ValueError, match="clip 0 is the name of a reference already"):
        detector.confirm_normal(clips[9], RATE)
    with pytest.raises(ValueError, match="is the name of a reference already"):
        detector.confirm_normal([files[0], files[0]])
    assert len(detector.reference_names) == 6 and detector.feedback_log == []
