"""What the demo shows equals what the detector says, and bad input is answered in words."""

import re
from dataclasses import replace
from pathlib import Path

import anomaly_demo
import numpy as np
import pytest
import soundfile
import yaml
from anomaly_demo import EXAMPLE_REFERENCES, EXAMPLES, HUB_MODEL, detect, example_clips, model_name

from modeling_retainmix import AnomalyDetector


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return AnomalyDetector.from_pretrained(encoder_folder, device="cpu")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    references, test = example_clips("cooling_fan", "looseness", tmp_path_factory.mktemp("clips"))
    return references[:4], test


@pytest.fixture(scope="module")
def detection(encoder, clips):
    return detect(encoder, *clips, 0.25)


def test_score_and_threshold_are_those_of_the_detector(encoder_folder, clips, detection):
    references, test = clips
    detector = AnomalyDetector.from_pretrained(encoder_folder, device="cpu").fit(references)
    assert detection.score == pytest.approx(detector.score(test)[0], rel=1e-6)
    assert detection.threshold == pytest.approx(detector.threshold(0.25), rel=1e-6)
    assert (detection.references, detection.false_alarm_rate) == (4, 0.25)


def test_visitors_do_not_change_the_shared_encoder(encoder, clips, detection):
    assert encoder.reference_names == []
    assert detect(encoder, *clips, 0.25).score == detection.score


def test_waveform_and_explanation_are_those_of_the_clip(encoder_folder, clips, detection):
    references, test = clips
    (explanation,) = AnomalyDetector.from_pretrained(encoder_folder, device="cpu").fit(references).explain(test)
    np.testing.assert_allclose(detection.explanation.contributions, explanation.contributions, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(detection.waveform, soundfile.read(test)[0], atol=1e-7)


@pytest.mark.parametrize(
    ("score", "references", "verdict", "hint"),
    [(2.0, 20, "Anomalous", False), (1.0, 20, "Normal", False), (0.5, 4, "Normal", True)],
)
def test_summary_says_verdict_and_when_references_are_too_few(detection, score, references, verdict, hint):
    text = replace(detection, score=score, threshold=1.0, references=references, false_alarm_rate=0.1).summary
    assert text.startswith(f"## {verdict}\n") and f"**{score:.4f}**" in text and "**1.0000**" in text
    assert ("4 references are too few for a false-alarm rate below 20%" in text) == hint


def test_when_a_file_is_broken_then_error_names_it_without_its_folder(encoder, clips, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"this is no sound")
    references, test = clips
    for arguments in (([*references, str(broken)], test), (references, str(broken))):
        with pytest.raises(ValueError, match=r"^broken\.wav cannot be decoded"):
            detect(encoder, *arguments)


@pytest.mark.parametrize(
    ("references", "test", "message"),
    [
        (None, "clip.wav", "at least three reference clips"),
        (["a.wav", "b.wav"], "clip.wav", "at least three reference clips"),
        (["a.wav", "b.wav", "c.wav"], None, "add a test clip"),
    ],
)
def test_when_a_clip_is_not_given_then_error_asks_for_it(encoder, references, test, message):
    with pytest.raises(ValueError, match=message):
        detect(encoder, references, test)


def test_stereo_files_are_averaged(encoder, clips, tmp_path):
    references, test = clips
    samples, rate = soundfile.read(test)
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, np.zeros_like(samples)], axis=1), rate)
    soundfile.write(tmp_path / "half.wav", samples / 2, rate)
    scores = [detect(encoder, references, str(tmp_path / name)).score for name in ("stereo.wav", "half.wav")]
    assert scores[0] == pytest.approx(scores[1], rel=1e-2)  # rounded to 16 bit before and after halving


def test_examples_are_normal_references_and_a_test_clip_with_the_fault(tmp_path):
    assert len(EXAMPLES) == 36
    references, test = example_clips("piston_pump", "leak", tmp_path)
    assert len(references) == EXAMPLE_REFERENCES and Path(test).name == "piston_pump_leak.wav"
    healthy = example_clips("piston_pump", "", tmp_path)[1]
    samples = [soundfile.read(path)[0] for path in (*references, test, healthy)]
    assert {clip.shape for clip in samples} == {(64000,)}
    assert len({clip.tobytes() for clip in samples}) == EXAMPLE_REFERENCES + 2


def test_model_is_the_named_one_else_the_one_beside_else_that_of_the_hub(monkeypatch, tmp_path):
    monkeypatch.delenv("RETAINMIX_MODEL", raising=False)
    monkeypatch.setattr(anomaly_demo, "LOCAL_MODEL", tmp_path / "absent")
    assert model_name() == HUB_MODEL
    monkeypatch.setattr(anomaly_demo, "LOCAL_MODEL", tmp_path)
    assert model_name() == str(tmp_path)
    monkeypatch.setenv("RETAINMIX_MODEL", "acme/hum")
    assert model_name() == "acme/hum"


def test_space_front_matter_and_requirements_fit_each_other(demo_folder):
    readme = (demo_folder / "README.md").read_text(encoding="utf-8")
    front_matter = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", readme, re.DOTALL)[1])
    assert front_matter["sdk"] == "gradio" and (demo_folder / front_matter["app_file"]).is_file()
    assert front_matter["models"] == [HUB_MODEL] and len(front_matter["short_description"]) <= 60
    requirements = (demo_folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    major = front_matter["sdk_version"].split(".")[0]
    assert f"gradio>={'.'.join(front_matter['sdk_version'].split('.')[:2])},<{int(major) + 1}" in requirements
