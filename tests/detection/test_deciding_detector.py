"""Decisions of the whole detector: sessions, held-out recordings, domains, p-values and their saving."""

import json
import warnings

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file, save_file

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.threshold import score_threshold

RATE = 16000


@pytest.fixture(scope="module")
def machine():
    """Draw sessions of normal recordings: noise; clips of a session share the levels of its 8 bands."""
    generator = np.random.default_rng(0)

    def draw(count, size=1, spread_db=4.0, tilt_db=0.0, loud_band_db=0.0):
        levels = spread_db * generator.normal(size=(count, 8)) + np.linspace(0, tilt_db, 8)
        levels[:, 5] += loud_band_db
        gains = np.repeat(10 ** (np.repeat(levels, 400, axis=1) / 20), size, axis=0)
        spectra = np.fft.rfft(generator.normal(0, 0.05, (count * size, 6400)))
        spectra[:, 1:] *= gains
        return np.fft.irfft(spectra, 6400).astype(np.float32)

    return draw


@pytest.fixture
def load():
    def load(**settings):
        settings = {"layer": "log-mel", "backend": "knn", "normalization": "none"} | settings
        return AnomalyDetector.from_pretrained("log-mel", device="cpu", **settings)

    return load


def quietly(call, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return call(*arguments, **options)


def session_names(count, size):
    return np.repeat([f"s{index}" for index in range(count)], size).tolist()


def test_a_group_is_left_out_together(load, machine):
    clips, groups = machine(10, 4), session_names(10, 4)
    detector = load().fit(clips, RATE, groups=groups)
    left_out = [
        score
        for index in range(10)
        for score in load()
        .fit(np.delete(clips, np.s_[4 * index : 4 * index + 4], axis=0), RATE)
        .score(clips[4 * index : 4 * index + 4], RATE)
    ]
    expected = score_threshold(np.asarray(left_out), 0.1, recording=np.repeat(np.arange(10), 4))
    assert detector.threshold(0.1) == pytest.approx(expected, rel=1e-4)
    assert detector.threshold(0.2) > 1.2 * quietly(load().fit, clips, RATE).threshold(0.2)


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "knn"},
        {"backend": "whitened"},
        {"backend": "mahalanobis", "covariance": "shared"},
        {"backend": "density", "density_neighbors": 2},
    ],
)
def test_a_group_of_both_domains_is_left_out_of_both(load, machine, settings):
    clips, groups = machine(6, 4), session_names(6, 4)
    domains = ["source", "source", "target", "target"] * 6
    detector = load(**settings)
    quietly(detector.fit, clips, RATE, domains, groups=groups)
    rest = quietly(load(**settings).fit, clips[4:], RATE, domains[4:], groups=groups[4:])
    np.testing.assert_allclose(detector._fitted().scores.leave_one_out()[:4], rest.score(clips[:4], RATE), rtol=1e-4)


def test_when_a_flat_folder_is_one_session_then_fit_warns_with_the_cure(load, machine, tmp_path):
    for index, clip in enumerate(machine(3)):
        sf.write(tmp_path / f"{index}.wav", clip, RATE)
    with pytest.warns(UserWarning, match="all 3 references lie in one folder .*makes one session .*subfolder"):
        detector = load().fit(tmp_path, groups="folder")
    with pytest.raises(ValueError, match="those of one session count as one"):
        detector.threshold(0.1)


def test_few_groups_say_what_rate_they_bear(load, machine):
    detector = load().fit(machine(5, 3), RATE, groups=session_names(5, 3))
    with pytest.warns(UserWarning, match="5 % needs 19 sessions, and 5 bear 16.7 %"):
        detector.threshold(0.05)
    with pytest.warns(UserWarning, match="5 % needs 19 sessions, and 5 bear 16.7 %"):
        detector.decide(machine(2), RATE, 0.05, "cross")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.threshold(0.2)


@pytest.mark.parametrize("method", ["quantile", "cross"])
def test_with_groups_false_alarms_on_other_sessions_are_as_asked_and_without_they_are_not(load, machine, method):
    with_groups, without = [], []
    for _ in range(4):
        clips, tests = machine(9, 4), machine(30)
        with_groups.append(load().fit(clips, RATE, groups=session_names(9, 4)).decide(tests, RATE, 0.1, method).mean())
        without.append(quietly(load().fit, clips, RATE).decide(tests, RATE, 0.1).mean())
    assert np.mean(with_groups) < 0.2 < np.mean(without)


def test_p_values_and_decisions_agree(load, machine):
    detector = load().fit(machine(20, 2), RATE, groups=session_names(20, 2))
    tests = np.concatenate([machine(20), machine(5, loud_band_db=40)])
    for method in ("quantile", "cross"):
        p_values = detector.p_values(tests, RATE, method=method)
        assert p_values.min() == pytest.approx(1 / 21) and p_values.max() <= 1
        np.testing.assert_array_equal(p_values <= 0.1 + 1e-9, detector.decide(tests, RATE, 0.1, method))
    assert (p_values[20:] < 0.1).all()


def test_p_values_of_long_clips_are_those_of_their_number_of_windows(load, machine):
    settings = {"window_seconds": 0.4, "hop_seconds": 0.4}
    detector = load(**settings).fit(machine(20), RATE)
    clips = [np.concatenate(machine(5)) for _ in range(30)]
    (single,) = [quietly(detector.p_values, clips[0][:6400], RATE)]
    p_values = quietly(detector.p_values, clips, RATE)
    assert single.shape == (1,)
    assert (p_values <= 0.3).mean() < 0.5  # the largest of five scores; by one window's scores nearly all
    scores, ones = detector.score(clips, RATE), detector.threshold(0.3)
    assert (scores > ones).mean() > 0.6


def test_anomalies_of_a_collection_are_listed_at_a_false_discovery_rate(load, machine):
    detector = load().fit(machine(60), RATE)
    tests = np.concatenate([machine(15), machine(5, loud_band_db=40)])
    found = detector.find_anomalies(tests, RATE, 0.2)
    assert {15, 16, 17, 18, 19} <= {one.position for one in found} and len(found) <= 8
    assert found[0].name == f"clip {found[0].position}"
    with pytest.raises(ValueError, match="false_discovery_rate=0 is not"):
        detector.find_anomalies(tests, RATE, 0)


def test_held_out_recordings_give_thresholds_are_saved_and_can_be_undone(load, machine, tmp_path):
    detector = load().fit(machine(3, 6), RATE, groups=session_names(3, 6))
    before = quietly(detector.threshold, 0.1)
    held_out = machine(12)
    detector.calibrate(held_out, RATE)
    scores = np.sort(detector.score(held_out, RATE))
    assert detector.threshold(0.1) == pytest.approx(scores[11], rel=1e-5)  # rank ceil(0.9 * 13)
    assert detector.threshold(0.25) == pytest.approx(scores[9], rel=1e-5)
    detector.save_pretrained(tmp_path)
    loaded = AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    assert loaded.threshold(0.1) == pytest.approx(detector.threshold(0.1))
    np.testing.assert_allclose(loaded.p_values(held_out, RATE), detector.p_values(held_out, RATE))
    loaded.add_references(machine(4), RATE)
    assert loaded.threshold(0.1) <= detector.threshold(0.1)
    for one in (detector, AnomalyDetector.from_pretrained(tmp_path, device="cpu")):
        assert quietly(one.calibrate(None).threshold, 0.1) == pytest.approx(before)


def test_where_held_out_recordings_are_too_few_then_references_join_them(load, machine):
    references, held_out = machine(8), machine(4)
    detector = load().fit(references, RATE)
    left_out = detector._fitted().scores.leave_one_out()
    detector.calibrate(held_out, RATE)
    scores = detector.score(held_out, RATE)
    both = np.sort(np.concatenate([left_out, scores]))
    assert detector.threshold(0.1) == pytest.approx(both[11], rel=1e-5)
    assert detector.threshold(0.2) == pytest.approx(np.sort(scores)[-1], rel=1e-5)


def test_references_that_join_held_out_recordings_never_lower_what_these_say(load, machine):
    detector = load().fit(machine(20), RATE)
    held_out, tests = machine(4, spread_db=12), machine(40, spread_db=12)
    detector.calibrate(held_out, RATE)
    highest = detector.score(held_out, RATE).max()
    left_out = np.sort(detector._fitted().scores.leave_one_out())
    assert highest > left_out[-1]  # else nothing is shown
    assert detector.threshold(0.15) == pytest.approx(highest, rel=1e-5)  # of 24, rank 21 would be a reference's
    p_values, scores = detector.p_values(tests, RATE), detector.score(tests, RATE)
    held = np.sort(detector.score(held_out, RATE))
    below = scores <= highest * (1 - 1e-6)
    alone = np.asarray([(1 + (held >= score).sum()) / 5 for score in scores])
    assert below.any() and (~below).any()
    assert (p_values[below] >= alone[below] - 1e-9).all()
    joined = np.concatenate([left_out, held])
    expected = np.asarray([(1 + (joined >= score).sum()) / 25 for score in scores])
    np.testing.assert_allclose(p_values[~below], expected[~below])
    assert ((p_values <= 0.15) == detector.decide(tests, RATE, 0.15)).all()


@pytest.mark.parametrize(
    ("domains", "groups", "is_told"),
    [
        (["source"] * 2, None, True),
        (["source"] * 2 + ["target"], None, True),
        (["source"] * 3, None, False),
        (["source"] * 2 + ["target"] * 2, None, False),
        (["source"] * 4, ["a", "a", "b", "b"], False),
    ],
)
def test_where_no_covariance_is_left_without_a_reference_then_a_threshold_warns(
    load, machine, domains, groups, is_told
):
    detector = load(backend="whitened").fit(machine(len(domains)), RATE, domains, groups=groups)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        detector.threshold(0.5)
    assert any("others have no covariance" in str(one.message) for one in caught) == is_told


def test_a_held_out_recording_that_is_given_twice_counts_once(load, machine):
    detector, held_out = load().fit(machine(12), RATE), machine(3)
    with pytest.warns(UserWarning, match="more than once among the held-out recordings: clip 0 = clip 3 = clip 4:"):
        detector.calibrate(np.concatenate([held_out, 0.5 * held_out[:1], held_out[:1]]), RATE)
    assert detector.threshold_basis(0.25).num_units == 3


def test_when_held_out_recordings_are_references_or_of_their_sessions_then_error_names_them(load, machine):
    clips = machine(6)
    detector = load().fit(clips[:4], RATE, groups=["a", "a", "b", "b"])
    with pytest.raises(ValueError, match="clip 1 is the reference clip 0, which the detector has seen"):
        detector.calibrate(np.stack([clips[5], clips[0]]), RATE)
    with pytest.raises(ValueError, match="clip 0 is of session b, as clip 2 among the references"):
        detector.calibrate(clips[4:], RATE, groups=["b", "c"])
    detector.calibrate(clips[4:], RATE, groups=["c", "c"])
    with pytest.raises(ValueError, match="clip 0 is the reference"):
        detector.add_references(clips[4:5], RATE)
    assert len(detector.reference_names) == 4


def test_each_domain_has_a_threshold_of_its_own(load, machine):
    references = np.concatenate([machine(20, spread_db=2), machine(20, spread_db=6, tilt_db=60)])
    detector = load().fit(references, RATE, ["source"] * 20 + ["target"] * 20)
    source, target = (detector.threshold(0.1, domain=domain) for domain in ("source", "target"))
    assert source < detector.threshold(0.1) <= target
    tests = np.concatenate([machine(30, spread_db=4), machine(30, spread_db=6, tilt_db=60)])
    alarms = detector.decide(tests, RATE, 0.1, per_domain=True)
    pooled = detector.decide(tests, RATE, 0.1)
    assert (alarms[:30] >= pooled[:30]).all() and alarms[:30].sum() > pooled[:30].sum()
    assert (alarms[30:] <= pooled[30:]).all()
    p_values = detector.p_values(tests, RATE, per_domain=True)
    np.testing.assert_array_equal(p_values <= 0.1 + 1e-9, alarms)
    with pytest.raises(ValueError, match="domain='Target' is not one of this detector"):
        detector.threshold(0.1, domain="Target")
    with pytest.raises(ValueError, match="method='cross' compares clips with the references of all domains"):
        detector.decide(tests, RATE, 0.1, "cross", per_domain=True)


def test_when_a_clip_cannot_be_read_then_the_others_are_decided(load, machine, tmp_path):
    detector = load().fit(machine(12), RATE)
    clips = machine(3, loud_band_db=40)
    for index, clip in enumerate(clips):
        sf.write(tmp_path / f"{index}.wav", clip, RATE)
    (tmp_path / "1.wav").write_bytes(b"RIFF")
    for method in ("quantile", "cross"):
        errors: list[Exception] = []
        decisions = detector.decide(tmp_path, method=method, on_error=errors.append)
        assert decisions.tolist() == [True, False, True]
        assert len(errors) == 1 and "1.wav" in str(errors[0])
    with pytest.raises(ValueError, match=r"1\.wav"):
        detector.decide(tmp_path)
    assert np.isnan(detector.p_values(tmp_path, on_error=errors.append)).tolist() == [False, True, False]


def test_groups_are_saved_and_go_on_after_loading(load, machine, tmp_path):
    clips = machine(6, 2)
    detector = load().fit(clips[:8], RATE, groups=session_names(4, 2))
    detector.save_pretrained(tmp_path)
    loaded = AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    assert quietly(loaded.threshold, 0.1) == pytest.approx(quietly(detector.threshold, 0.1))
    loaded.add_references(clips[8:], RATE, groups=["s3", "s3", "new", "new"])
    whole = load().fit(clips, RATE, groups=[*session_names(4, 2), "s3", "s3", "new", "new"])
    assert quietly(loaded.threshold, 0.1) == pytest.approx(quietly(whole.threshold, 0.1))


def test_detectors_without_notes_load_and_broken_notes_are_refused(load, machine, tmp_path):
    detector = load().fit(machine(6), RATE, groups=session_names(3, 2)).calibrate(machine(2), RATE)
    detector.save_pretrained(tmp_path)
    path, tensors = tmp_path / "detector.json", load_file(tmp_path / "references.safetensors")
    content = json.loads(path.read_text())
    for changed, message in (
        ({"groups": ["a"]}, "has groups that are not one name for each of its 6 references"),
        ({"log": [1]}, "has a log that is not a list"),
        ({"held_out": {"names": ["a"], "groups": [None]}}, "holds held-out recordings that are not the 1"),
        ({"held_out": []}, "do not belong together"),
    ):
        path.write_text(json.dumps(content | changed))
        with pytest.raises(ValueError, match=message):
            AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    old = {key: value for key, value in content.items() if key not in ("groups", "held_out", "log")}
    path.write_text(json.dumps(old))
    save_file(
        {key: value for key, value in tensors.items() if "held_out" not in key}, tmp_path / "references.safetensors"
    )
    loaded = AnomalyDetector.from_pretrained(tmp_path, device="cpu")
    assert torch.equal(loaded._fitted().tensors["vectors"], detector._fitted().tensors["vectors"])


def test_when_references_are_of_one_group_then_thresholds_say_so_and_scores_work(load, machine):
    detector = load().fit(machine(1, 4), RATE, groups=["a"] * 4)
    assert np.isfinite(detector.score(machine(2), RATE)).all()
    for call in (detector.threshold, lambda: detector.decide(machine(2), RATE, 0.1, "cross")):
        with pytest.raises(ValueError, match=r"one (reference recording|session)"):
            call()


def test_files_cut_from_one_recording_are_told_when_no_groups_are_given(load, machine, tmp_path):
    generator = np.random.default_rng(3)
    for session in range(6):
        noise = generator.normal(0, 0.1, 8 * RATE)
        width = 2 + 2 * session
        recording = np.convolve(noise, np.ones(width) / width, mode="same")
        for part in range(4):
            sf.write(tmp_path / f"s{session}_{part}.wav", recording[part * 2 * RATE : (part + 1) * 2 * RATE], RATE)
    with pytest.warns(UserWarning, match=r"look cut from one recording.*s0_0\.wav to s0_3\.wav \(4 files\)"):
        load().fit(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load().fit(tmp_path, groups="(s[0-9])_")
