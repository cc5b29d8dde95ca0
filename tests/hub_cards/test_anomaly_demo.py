"""What the demo shows equals what the detector says, and bad input is answered in words."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from anomaly_demo import (
    EXAMPLE_REFERENCES,
    EXAMPLES,
    FIRST_EXAMPLE,
    HARD_EXAMPLES,
    detect,
    example_clips,
    example_label,
    load_encoder,
)

from modeling_retainmix import AnomalyDetector, BeatsFeatureExtractor
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.shipped import SHIPPED


@pytest.fixture(scope="module")
def encoder(encoder_folder):
    return AnomalyDetector.from_pretrained(encoder_folder, device="cpu")


@pytest.fixture(scope="module")
def detection(encoder, references, machine):
    return detect(encoder, references, str(machine["faulty"]), 0.1)


def test_verdict_and_events_are_those_of_the_detector(encoder_folder, references, machine, detection):
    detector = AnomalyDetector.from_pretrained(encoder_folder, device="cpu").fit(references)
    (judgement,) = detector.judge(machine["faulty"])
    assert detection.judgement == judgement._replace(name=detection.judgement.name)
    assert detection.events == detector.events(machine["faulty"])[0]
    assert (detection.basis.num_units, detection.name) == (12, "faulty.wav")


def test_visitors_do_not_change_the_shared_encoder(encoder, references, machine, detection):
    assert encoder.reference_names == []
    assert detect(encoder, references, str(machine["faulty"])).judgement == detection.judgement


def test_sounds_and_levels_are_those_of_the_clips(references, machine, detection):
    np.testing.assert_allclose(detection.waveform, soundfile.read(machine["faulty"])[0], atol=1e-6)
    np.testing.assert_allclose(detection.healthy, soundfile.read(references[0])[0], atol=1e-6)
    assert detection.reference_levels.shape == (12, 128) and not detection.is_levelled
    above = detection.levels - detection.reference_levels.max(axis=0)
    assert above.argmax() == pytest.approx(128 * 0.35, abs=10)  # 1 kHz on the mel scale up to 8 kHz


def test_when_no_model_is_named_then_that_of_the_package_judges(monkeypatch, references, machine, encoder_folder):
    monkeypatch.delenv("RETAINMIX_MODEL", raising=False)
    detector = load_encoder()
    assert Path(detector.embedder.model.config.name_or_path).name == SHIPPED
    found = {name: detect(detector, references, str(machine[name])) for name in ("normal", "faulty")}
    assert [one.judgement.is_anomalous for one in found.values()] == [False, True]
    assert {event.lasts for event in found["faulty"].events} == {True, False}
    monkeypatch.setenv("RETAINMIX_MODEL", str(encoder_folder))
    assert load_encoder().embedder.model.config.model_type == "retainmix_beats"


def test_when_clips_are_compared_at_one_level_then_levels_are_shown_without_their_mean(encoder, references, machine):
    extractor = BeatsFeatureExtractor(clip_level=0.0)
    settings = DetectorSettings(layer=1)
    levelled = AnomalyDetector(encoder.embedder.model, extractor, settings, "cpu")
    found = detect(levelled, references, str(machine["faulty"]))
    assert found.is_levelled and found.levels.mean() == pytest.approx(0, abs=1e-9)


def test_when_references_are_too_few_then_there_is_no_verdict_and_no_warning(encoder, references, machine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        few = detect(encoder, references[:3], str(machine["faulty"]))
    assert few.judgement.is_anomalous is None and few.basis.num_missing == 6


def test_when_a_file_is_broken_then_error_names_it_without_its_folder(encoder, references, machine, tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"this is no sound")
    for arguments in (([*references, str(broken)], str(machine["normal"])), (references, str(broken))):
        with pytest.raises(ValueError, match=r"^broken\.wav cannot be decoded"):
            detect(encoder, *arguments)


@pytest.mark.parametrize(
    ("references", "test", "message"),
    [
        (None, "clip.wav", "add recordings of the healthy machine"),
        ([], "clip.wav", "add recordings of the healthy machine"),
        (["a.wav"], None, "add a test clip"),
    ],
)
def test_when_a_clip_is_not_given_then_error_asks_for_it(encoder, references, test, message):
    with pytest.raises(ValueError, match=message):
        detect(encoder, references, test)


def test_stereo_files_are_averaged(encoder, references, machine, tmp_path):
    samples, rate = soundfile.read(machine["normal"])
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples, np.zeros_like(samples)], axis=1), rate)
    soundfile.write(tmp_path / "half.wav", samples / 2, rate)
    scores = [detect(encoder, references, str(tmp_path / name)).judgement.score for name in ("stereo.wav", "half.wav")]
    assert scores[0] == pytest.approx(scores[1], rel=1e-2)  # rounded to 16 bit before and after halving


@pytest.mark.slow
def test_examples_are_normal_references_and_a_test_clip_with_the_fault(tmp_path):
    assert len(EXAMPLES) == 36 and {FIRST_EXAMPLE, *HARD_EXAMPLES} <= set(EXAMPLES)
    references, test = example_clips("piston_pump", "leak", tmp_path)
    assert len(references) == EXAMPLE_REFERENCES and Path(test).name == "piston_pump_leak.wav"
    healthy = example_clips("piston_pump", "", tmp_path)[1]
    samples = [soundfile.read(path)[0] for path in (*references, test, healthy)]
    assert {clip.shape for clip in samples} == {(64000,)}
    assert len({clip.tobytes() for clip in samples}) == EXAMPLE_REFERENCES + 2


def test_hard_examples_are_marked_and_the_first_is_none_of_them():
    assert FIRST_EXAMPLE not in HARD_EXAMPLES
    assert example_label("label_printer", "imbalance") == "Label printer: imbalance (a hard one)"
    assert example_label(*FIRST_EXAMPLE) == "Reduction gear: squeal" and example_label("x_y", "") == "X y: healthy"


@pytest.mark.system
def test_the_first_example_is_caught_and_the_hard_ones_are_those_that_are_hardly_caught(monkeypatch, tmp_path):
    monkeypatch.delenv("RETAINMIX_MODEL", raising=False)
    detector, hard = load_encoder(), set()
    for machine, fault in EXAMPLES:
        if fault:
            judgement = detect(detector, *example_clips(machine, fault, tmp_path / machine)).judgement
            if judgement.score < 1.5 * judgement.threshold:
                hard.add((machine, fault))
    assert hard == HARD_EXAMPLES


def test_space_front_matter_and_requirements_fit_each_other(demo_folder):
    readme = (demo_folder / "README.md").read_text(encoding="utf-8")
    front_matter = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", readme, re.DOTALL)[1])
    assert front_matter["sdk"] == "gradio" and (demo_folder / front_matter["app_file"]).is_file()
    assert len(front_matter["short_description"]) <= 60
    requirements = (demo_folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    major = front_matter["sdk_version"].split(".")[0]
    assert f"gradio>={'.'.join(front_matter['sdk_version'].split('.')[:2])},<{int(major) + 1}" in requirements
