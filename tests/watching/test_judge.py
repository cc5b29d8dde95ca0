"""The detector of a watch: its decisions are those of the detector, and it is read again when it changes."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from watched import write

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.watching.judge import DetectorJudge, detector_fingerprint


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="whitened", normalization="none")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("healthy")
    return [str(write(folder / f"{seed}.wav", 0.1 + 0.01 * seed, seed)) for seed in range(11)]


@pytest.fixture
def saved(detector, files, tmp_path):
    detector.fit(files[:9]).save_pretrained(tmp_path / "detector")
    return tmp_path / "detector"


def test_a_decision_is_that_of_the_detector(saved, detector, files, tmp_path):
    judge = DetectorJudge(saved, device="cpu")
    suspect = write(tmp_path / "suspect.flac", 0.9, 99)
    for path in (suspect, files[10]):
        found = judge.judge(suspect if path is suspect else type(suspect)(path))
        assert found.score == pytest.approx(detector.score(path)[0]) and found.num_windows == 1
        assert found.threshold == pytest.approx(detector.threshold()) and found.false_alarm_rate == 0.1
        assert found.upper_quartile == pytest.approx(detector.threshold(0.25)) and found.detector == judge.fingerprint
        assert found.is_anomalous == detector.decide(path)[0] and found.warnings == ()


def test_when_a_recording_differs_in_what_is_not_the_machines_then_its_row_says_so(saved, tmp_path):
    sf.write(tmp_path / "a.wav", [0.1, -0.1] * 20000, 44100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (told,) = DetectorJudge(saved, device="cpu").judge(tmp_path / "a.wav").warnings
    assert "44100" in told or "44.1" in told


def test_when_the_detector_hears_two_microphones_then_the_far_channel_is_asked_for_and_taken(files, tmp_path):
    stereo = []
    for path in files:
        near, rate = sf.read(path)
        stereo.append(str(tmp_path / f"stereo_{len(stereo)}.wav"))
        far = 0.05 * np.random.default_rng(len(stereo)).standard_normal(len(near))
        sf.write(stereo[-1], np.stack([near + far, far], axis=1), rate)
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="whitened", microphones="cancel")
    detector.fit(stereo[:9], channel=0, far_channel=1).save_pretrained(tmp_path / "two")
    with pytest.raises(ValueError, match=r"two hears two microphones .*'cancel'.*name the far one's channel, far"):
        DetectorJudge(tmp_path / "two", channel=0, device="cpu")
    found = DetectorJudge(tmp_path / "two", channel=0, far_channel=1, device="cpu").judge(Path(stereo[10]))
    assert found.score == pytest.approx(detector.score(stereo[10], channel=0, far_channel=1)[0], rel=1e-5)


def test_when_the_detector_hears_one_microphone_then_a_far_channel_is_refused(saved):
    with pytest.raises(ValueError, match=r"detector hears one microphone, so there is no far_channel="):
        DetectorJudge(saved, far_channel=1, device="cpu")


def test_when_references_are_few_then_the_error_names_a_rate_that_they_bear(detector, files, tmp_path):
    detector.fit(files[:2]).save_pretrained(tmp_path / "few")
    with pytest.raises(ValueError, match=r"10 % needs 7 more recordings .* a rate of 0\.34 or more"):
        DetectorJudge(tmp_path / "few", device="cpu")
    detector.fit(files[:1]).save_pretrained(tmp_path / "one")
    with pytest.raises(ValueError, match=r"8 more recordings .*fit --add`$"):  # one bears no rate at all
        DetectorJudge(tmp_path / "one", device="cpu")
    judge = DetectorJudge(tmp_path / "few", 0.34, device="cpu")
    for _ in range(2):
        found = judge.judge(type(tmp_path)(files[5]))
        assert not any("too few references" in text for text in found.warnings) and found.upper_quartile is None


def test_when_the_detector_changes_then_it_is_read_again_with_another_fingerprint(saved, detector, files):
    judge = DetectorJudge(saved, device="cpu")
    before, path = judge.judge(type(saved)(files[10])), type(saved)(files[10])
    judge.refresh()
    assert judge.judge(path) == before
    detector.add_references(files[10:]).save_pretrained(saved)
    judge.refresh()
    after = judge.judge(path)
    assert after.detector == detector_fingerprint(saved) != before.detector and after.score < before.score


def test_when_the_changed_detector_cannot_be_read_then_the_earlier_one_goes_on(saved, files):
    problems = []
    judge = DetectorJudge(saved, device="cpu", on_problem=problems.append)
    before = judge.judge(type(saved)(files[10]))
    (saved / "references.safetensors").write_bytes(b"broken")
    judge.refresh(), judge.refresh()
    assert len(problems) == 1 and "the earlier detector goes on" in problems[0]
    assert judge.judge(type(saved)(files[10])) == before


def test_when_there_is_no_detector_or_it_has_no_threshold_then_error(tmp_path, detector, files):
    with pytest.raises(FileNotFoundError, match="not the folder of a saved detector"):
        DetectorJudge(tmp_path)
    detector.fit(files[:1]).save_pretrained(tmp_path / "one")
    with pytest.raises(ValueError):
        DetectorJudge(tmp_path / "one")


def test_fingerprints_depend_on_content_alone(saved, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in saved.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "README.md").write_text("a card")
    assert detector_fingerprint(copy) == detector_fingerprint(saved)
    (copy / "detector.json").write_bytes((copy / "detector.json").read_bytes() + b"\n")
    assert detector_fingerprint(copy) != detector_fingerprint(saved)
