"""What a report says is what the detector says, recording by recording."""

import warnings

import numpy as np
import pytest
import soundfile as sf
from reports.conftest import RATE, UGLY, draw_clip

from modeling_retainmix import (
    AnomalyDetector,
    BeatsConfig,
    BeatsFeatureExtractor,
    BeatsModel,
    LogMelConfig,
    LogMelModel,
)
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.reports.findings import collect_findings
from modeling_retainmix.reports.wording import verdict_sentence


@pytest.fixture(scope="module")
def findings(detector, machine):
    return collect_findings(detector, machine / "test")


def test_when_a_folder_is_judged_then_the_most_anomalous_come_first_with_the_verdicts_of_the_detector(
    findings, detector, machine
):
    assert [one.name for one in findings.recordings][2:] == ["healthy_0.wav", "night/healthy_1.wav"] or [
        one.name for one in findings.recordings
    ][2:] == ["night/healthy_1.wav", "healthy_0.wav"]
    assert {one.name for one in findings.recordings[:2]} == {"faulty_0.wav", UGLY}
    paths = [machine / "test" / one.name for one in findings.recordings]
    np.testing.assert_array_equal([one.judgement.score for one in findings.recordings], detector.score(paths))
    assert [one.judgement.is_anomalous for one in findings.recordings] == detector.decide(paths).tolist()
    assert findings.num_anomalous == 2 and findings.has_verdicts


def test_when_files_cannot_be_read_then_each_is_named_as_the_report_names_it(findings, machine):
    assert len(findings.unreadable) == 2
    assert findings.unreadable[0].startswith("broken.wav") and findings.unreadable[1].startswith(
        "silent.wav is silent"
    )
    assert str(machine) not in " ".join(findings.unreadable)


def test_when_events_are_found_then_they_are_those_of_the_detector_and_cover_the_burst(findings, detector, machine):
    (faulty,) = [one for one in findings.recordings if one.name == "faulty_0.wav"]
    (expected,) = detector.events(machine / "test" / "faulty_0.wav")
    assert faulty.detail.events == tuple(expected)
    strongest = faulty.detail.events[0]
    assert strongest.start_seconds < 0.5 < strongest.end_seconds and strongest.low_hz < 3500 < strongest.high_hz


def test_when_a_recording_is_clipped_then_it_has_a_warning_and_the_others_have_none(findings):
    problems = {one.name: one.problems for one in findings.recordings}
    assert any("clipped" in problem.fact for problem in problems[UGLY])
    assert problems["healthy_0.wav"] == problems["faulty_0.wav"] == ()


def test_when_details_are_limited_then_the_most_anomalous_have_them(detector, machine):
    found = collect_findings(detector, machine / "test", max_details=1)
    assert [one.detail is not None for one in found.recordings] == [True, False, False, False]
    with pytest.raises(ValueError, match="max_details=-1"):
        collect_findings(detector, machine / "test", max_details=-1)


def test_when_a_long_recording_is_faulty_then_it_comes_before_short_ones_that_are_not(detector, tmp_path):
    long = draw_clip(7, seconds=91)
    long[40 * RATE : 50 * RATE] += 0.3 * np.sin(2 * np.pi * 3500 / RATE * np.arange(10 * RATE))
    sf.write(tmp_path / "long.wav", long, RATE)
    for seed in range(3):
        sf.write(tmp_path / f"short_{seed}.wav", draw_clip(300 + seed), RATE)
    found = collect_findings(detector, tmp_path, max_details=1)
    first, *others = found.recordings
    assert first.name == "long.wav" and first.judgement.is_anomalous and first.detail is not None
    assert first.judgement.p_value > min(one.judgement.p_value for one in others)  # bounded by its length
    sentence = verdict_sentence(first.judgement, found.basis)
    assert "None of the 12 recordings that thresholds rest on scored as high" in sentence
    assert sentence.endswith("the least that they can give a recording of this length).")


def test_when_a_recording_is_long_then_the_excerpt_is_around_its_worst_window(detector, tmp_path):
    long = draw_clip(7, seconds=31)
    long[24 * RATE : 25 * RATE] = draw_clip(8, burst=True)
    sf.write(tmp_path / "long.wav", long, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = collect_findings(detector, [tmp_path / "long.wav"]).recordings
    detail = found.detail
    assert found.name == "long.wav" and detail.seconds == 31
    assert detail.end_seconds - detail.start_seconds == 10 and detail.start_seconds < 24.4 < 24.6 < detail.end_seconds
    first = round(detail.start_seconds * RATE)
    np.testing.assert_allclose(detail.recorded, long[first : first + 10 * RATE], atol=1e-4)
    assert detail.recorded.base is None  # or the whole recording would stay in memory


def test_when_several_files_are_given_then_their_names_begin_below_the_folder_that_holds_all(detector, machine):
    files = [machine / "test" / "faulty_0.wav", machine / "train"]
    names = {one.name for one in collect_findings(detector, files, max_details=0).recordings}
    assert "test/faulty_0.wav" in names and "train/00.wav" in names and len(names) == 13


def test_when_references_are_too_few_then_there_are_scores_without_verdicts(machine):
    detector = AnomalyDetector.from_pretrained("log-mel", backend="whitened", normalization="none", device="cpu")
    detector.fit(machine / "train" / "00.wav")
    found = collect_findings(detector, machine / "test" / "faulty_0.wav")
    assert found.basis.num_missing == 8 and found.num_anomalous == 0 and not found.has_verdicts
    assert found.recordings[0].judgement.score > 0


@pytest.mark.parametrize(
    ("clip_level", "layer", "hears_level"),
    [(None, 0, True), (0.0, 0, False), (0.0, (0, "level"), True), (0.0, "recorded", True)],
)
def test_when_clips_are_moved_to_one_level_then_it_is_known_that_loudness_does_not_count(
    machine, clip_level, layer, hears_level
):
    extractor = BeatsFeatureExtractor(clip_level=clip_level)
    detector = AnomalyDetector(LogMelModel(LogMelConfig()).eval(), extractor, DetectorSettings(layer=layer), "cpu")
    detector.fit(machine / "train")
    found = collect_findings(detector, machine / "test" / "faulty_0.wav", max_details=0)
    assert found.hears_level == hears_level


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (0, "log-mel statistics (no encoder)"),
        ((0, "level"), "log-mel statistics, level (no encoder)"),
        ("log-mel", "log-mel statistics (no encoder)"),
        ((0, "change-0"), "log-mel statistics, changes of log-mel statistics (no encoder)"),
    ],
)
def test_when_there_is_no_encoder_then_the_model_is_called_what_it_is(machine, layer, expected):
    detector = AnomalyDetector.from_pretrained("log-mel", layer=layer, device="cpu").fit(machine / "train")
    assert collect_findings(detector, machine / "test" / "faulty_0.wav", max_details=0).model == expected


def test_when_there_is_an_encoder_then_its_size_and_layers_are_named(machine):
    config = BeatsConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    model, settings = BeatsModel(config).eval(), DetectorSettings(layer=(1, 2))
    detector = AnomalyDetector(model, BeatsFeatureExtractor(), settings, "cpu").fit(machine / "train")
    model = collect_findings(detector, machine / "test" / "faulty_0.wav", max_details=0).model
    assert model.startswith("retainmix_beats (") and model.endswith(" million parameters): layer 1, layer 2")


def test_when_a_file_has_8_khz_then_its_detail_knows_that_it_ends_at_4_khz(detector, tmp_path):
    sf.write(tmp_path / "narrow.wav", draw_clip(3)[::2], RATE // 2)
    with pytest.warns(UserWarning, match="Sampling rate 8000 Hz"):
        (found,) = collect_findings(detector, tmp_path).recordings
    assert found.detail.highest_hz == 4000


def test_when_nothing_can_be_read_then_error_with_the_causes(detector, machine, tmp_path):
    with pytest.raises(ValueError, match=r"no recording can be read: .*silent"):
        collect_findings(detector, machine / "test" / "silent.wav")
    with pytest.raises(FileNotFoundError, match=r"missing\.wav does not exist"):
        collect_findings(detector, tmp_path / "missing.wav")
    (tmp_path / "song.m4a").write_bytes(b"0")
    with pytest.raises(ValueError, match=r"song\.m4a"):
        collect_findings(detector, tmp_path)


def test_when_a_far_microphone_is_subtracted_then_the_picture_is_of_what_is_left_and_the_player_of_the_recording(
    tmp_path,
):
    generator = np.random.default_rng(0)
    for index in range(4):
        far = 0.1 * generator.normal(size=2 * RATE)
        near = draw_clip(index, seconds=2) + np.convolve(far, [0.5, 0.3])[: 2 * RATE]
        sf.write(tmp_path / f"{index}.wav", np.stack([near, far], axis=1), RATE)
    detector = AnomalyDetector.from_pretrained(
        "log-mel", backend="whitened", normalization="none", microphones="cancel", device="cpu"
    )
    detector.fit(tmp_path, channel=0, far_channel=1)
    found = collect_findings(detector, tmp_path / "0.wav", channel=0, far_channel=1)
    detail = found.recordings[0].detail
    recorded, _ = sf.read(tmp_path / "0.wav", dtype="float32")
    np.testing.assert_array_equal(detail.recorded, recorded[:, 0])
    assert detail.heard.std() < 0.8 * detail.recorded.std()
