"""Two microphones: residuals and cancelled clips against plain ones, from audio to scores through a folder."""

import re

import numpy as np
import pytest
import soundfile as sf
import torch
from safetensors.torch import load_file

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection import pool_tokens
from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.cancellation import cancel_far
from modeling_retainmix.detection.microphones import build_backends, residual
from modeling_retainmix.detection.settings import DetectorSettings

RATE = 16000
IS_TARGET_DOMAIN = np.arange(14) >= 9
DOMAINS = ["target" if target else "source" for target in IS_TARGET_DOMAIN]


@pytest.fixture(scope="module")
def near():
    """14 references and 3 tests of half a second."""
    return np.random.default_rng(0).normal(0, 0.1, (17, 8000)).astype(np.float32)


@pytest.fixture(scope="module")
def far(near):
    """A far microphone hears part of it, smoothed, and something else."""
    other = np.random.default_rng(1).normal(0, 0.05, near.shape)
    return (0.5 * np.roll(near, 3, axis=1) + 0.5 * near + other).astype(np.float32)


def load(checkpoint, **settings):
    return AnomalyDetector.from_pretrained(checkpoint, device="cpu", **({"backend": "knn"} | settings))


def naive_standardized(queries, references, a):
    """Distance of near - a * far to the nearest one in each domain, standardized by references left out one by one."""
    columns = []
    for target in (False, True):
        own = [near - a * far for near, far in references[target == IS_TARGET_DOMAIN]]
        left_out = [
            min(np.linalg.norm(row - other) for index, other in enumerate(own) if index != skipped)
            for skipped, row in enumerate(own)
        ]
        distance = np.array([min(np.linalg.norm(near - a * far - row) for row in own) for near, far in queries])
        columns.append((distance - np.mean(left_out)) / np.std(left_out))
    return np.array(columns).T


@pytest.fixture(scope="module")
def embedded(near, far, tiny_model, feature_extractor):
    """[clips, 2, D] float64, near and far."""

    def pooled(waveforms):
        features = feature_extractor(waveforms, sampling_rate=RATE)["input_values"]
        with torch.no_grad():
            return pool_tokens(tiny_model(features, output_hidden_states=True).hidden_states[2], 8)

    return torch.stack([pooled(near), pooled(far)], dim=1).double().numpy()


def test_residual_scores_by_near_minus_a_times_far(tiny_checkpoint, near, far, embedded):
    detector = load(tiny_checkpoint, microphones="residual", far_weight=0.4, normalization="none")
    scores = detector.fit(near[:14], RATE, DOMAINS, far=far[:14]).score(near[14:], RATE, far=far[14:])
    bank = [n - 0.4 * f for n, f in embedded[:14]]
    expected = [min(np.linalg.norm(n - 0.4 * f - row) for row in bank) for n, f in embedded[14:]]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_fusion_takes_the_smaller_of_both_standardized_distances(tiny_checkpoint, near, far, embedded):
    detector = load(tiny_checkpoint, microphones="fusion", far_weight=0.4, normalization="none")
    scores = detector.fit(near[:14], RATE, DOMAINS, far=far[:14]).score(near[14:], RATE, far=far[14:])
    views = [naive_standardized(embedded[14:], embedded[:14], a) for a in (0.0, 0.4)]
    np.testing.assert_allclose(scores, np.min(views, axis=(0, 2)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("microphones", ["cancel", "residual", "fusion"])
def test_saved_detector_keeps_its_microphones_and_takes_further_references(
    tiny_checkpoint, near, far, tmp_path, microphones
):
    settings = {"microphones": microphones, "far_weight": 0.3, "layer": (1, 2)}
    whole = load(tiny_checkpoint, **settings).fit(near[:14], RATE, DOMAINS, far=far[:14])
    part = load(tiny_checkpoint, **settings)
    part.fit(near[:12], RATE, DOMAINS[:12], far=far[:12]).save_pretrained(tmp_path)
    loaded = AnomalyDetector.from_pretrained(tmp_path, device="cpu").add_references(
        near[12:14], RATE, DOMAINS[12:], far=far[12:14]
    )
    expected = whole.score(near[14:], RATE, far=far[14:])
    np.testing.assert_allclose(loaded.score(near[14:], RATE, far=far[14:]), expected, rtol=1e-4)
    decisions = loaded.decide(near[14:], RATE, 0.3, far=far[14:])
    np.testing.assert_array_equal(decisions, expected > whole.threshold(0.3))


def test_far_may_be_another_channel_of_the_files(tiny_checkpoint, near, far, tmp_path):
    for index in range(17):
        sf.write(tmp_path / f"{index:02d}.wav", np.stack([far[index], near[index]], axis=1), RATE, subtype="FLOAT")
    files = sorted(tmp_path.iterdir())
    settings = {"microphones": "residual", "normalization": "none"}
    by_channel = load(tiny_checkpoint, **settings).fit(files[:14], channel=1, far_channel=0)
    by_array = load(tiny_checkpoint, **settings).fit(near[:14], RATE, far=far[:14])
    expected = by_array.score(near[14:], RATE, far=far[14:])
    np.testing.assert_allclose(by_channel.score(files[14:], channel=1, far_channel=0), expected, rtol=1e-4)
    both_files = by_channel.score(files[14:], channel=1, far=files[14:], far_channel=0)
    np.testing.assert_allclose(both_files, expected, rtol=1e-4)


def test_windows_of_both_microphones_are_cut_alike(tiny_checkpoint, near, far):
    settings = {"microphones": "residual", "normalization": "none", "window_seconds": 0.5, "hop_seconds": 0.25}
    detector = load(tiny_checkpoint, **settings).fit(near[:14], RATE, far=far[:14])
    long = [np.concatenate([clips[14], clips[15]]) for clips in (near, far)]
    ((times, scores),) = detector.score_windows(long[0], RATE, far=long[1])
    assert times.tolist() == [0.0, 0.25, 0.5]
    single = detector.score(near[14:16], RATE, far=far[14:16])
    np.testing.assert_allclose(scores[[0, 2]], single, rtol=1e-4)


def test_short_clips_of_both_microphones_are_padded_behind(tiny_checkpoint, near, far):
    settings = {"microphones": "residual", "normalization": "none", "window_seconds": 0.5, "hop_seconds": 0.5}
    padded = [np.pad(clips[:, :6000], [(0, 0), (0, 2000)]) for clips in (near, far)]
    by_hand = load(tiny_checkpoint, **settings).fit(padded[0][:14], RATE, far=padded[1][:14])
    by_setting = load(tiny_checkpoint, pad="waveform", **settings).fit(near[:14, :6000], RATE, far=far[:14, :6000])
    expected = by_hand.score(padded[0][14:], RATE, far=padded[1][14:])
    np.testing.assert_allclose(by_setting.score(near[14:, :6000], RATE, far=far[14:, :6000]), expected, rtol=1e-4)


def test_fused_backends_leave_references_out_in_both():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(14, 10, generator=generator)
    references = torch.arange(14), torch.tensor(IS_TARGET_DOMAIN)
    settings = DetectorSettings(backend="knn", microphones="fusion", far_weight=0.7)
    backends = build_backends(settings, References(vectors, *references))
    halves = np.stack(np.split(vectors.double().numpy(), 2, axis=1), axis=1)
    for left_out in (0, 13):
        kept = np.delete(np.arange(14), left_out)
        domain = DOMAINS[left_out]
        own = kept[IS_TARGET_DOMAIN[kept] == (domain == "target")]
        views = []
        for a in (0.0, 0.7):
            alone = KnnBackend(References(residual(vectors, a), *references), domain)
            column_left_out = alone.leave_one_out().double().numpy()
            query = halves[left_out, 0] - a * halves[left_out, 1]
            nearest = min(np.linalg.norm(query - (halves[row, 0] - a * halves[row, 1])) for row in own)
            views.append((nearest - column_left_out.mean()) / column_left_out.std())
        assert float(backends[domain].reference_distances()[left_out]) == pytest.approx(min(views), rel=1e-3, abs=1e-4)


def test_when_far_is_missing_then_error_names_the_clip(tiny_checkpoint, near):
    with pytest.raises(ValueError, match=r"clip 0 has no far clip, which microphones='residual' needs: pass far="):
        load(tiny_checkpoint, microphones="residual").fit(near, RATE)


def test_when_a_far_clip_has_another_length_then_error_names_both(tiny_checkpoint, near, far):
    with pytest.raises(ValueError, match=r"clip 1 has 8000 samples and its far clip \(clip 1\) 7999"):
        load(tiny_checkpoint, microphones="residual").fit(near[:2], RATE, far=[far[0], far[1, :-1]])


def test_when_a_far_clip_is_not_read_then_error_says_which_microphones_do(tiny_checkpoint, near, far):
    for arguments in ({"far": far}, {"far_channel": 1}):
        with pytest.raises(ValueError, match="clip 0 has a far clip, which microphones='near' does not read"):
            load(tiny_checkpoint).fit(near, RATE, **arguments)


def cancelled(near, far):
    return np.stack([cancel_far(*pair) for pair in zip(near, far, strict=True)])


@pytest.mark.parametrize("windows", [{}, {"window_seconds": 0.3, "hop_seconds": 0.2}])
def test_cancel_scores_and_decides_as_near_does_on_clips_without_the_far_one(tiny_checkpoint, near, far, windows):
    settings = {"backend": "mahalanobis", "layer": (1, 2), **windows}
    residuals = cancelled(near, far)  # of whole clips, before windows are cut
    plain = load(tiny_checkpoint, **settings).fit(residuals[:14], RATE, DOMAINS)
    detector = load(tiny_checkpoint, microphones="cancel", **settings).fit(near[:14], RATE, DOMAINS, far=far[:14])
    expected, tests = plain.score(residuals[14:], RATE), {"sampling_rate": RATE, "far": far[14:]}
    np.testing.assert_allclose(detector.score(near[14:], **tests), expected, rtol=1e-5)
    assert detector.threshold(0.2) == pytest.approx(plain.threshold(0.2), rel=1e-5)
    decisions = detector.decide(near[14:], false_alarm_rate=0.2, **tests)
    np.testing.assert_array_equal(decisions, plain.decide(residuals[14:], RATE, 0.2))
    ((times, scores),) = detector.score_windows(near[14], RATE, far=far[14])
    ((plain_times, plain_scores),) = plain.score_windows(residuals[14], RATE)
    np.testing.assert_array_equal(times, plain_times)
    np.testing.assert_allclose(scores, plain_scores, rtol=1e-5)
    untouched = load(tiny_checkpoint, **settings).fit(near[:14], RATE, DOMAINS).score(near[14:], RATE)
    assert not np.allclose(untouched, expected, rtol=1e-2)


def test_cancel_explains_the_clip_without_the_far_one(tiny_checkpoint, near, far):
    residuals = cancelled(near, far)
    detector = load(tiny_checkpoint, microphones="cancel").fit(near[:14], RATE, far=far[:14])
    (explanation,) = detector.explain(near[14], RATE, far=far[14])
    (expected,) = load(tiny_checkpoint).fit(residuals[:14], RATE).explain(residuals[14], RATE)
    np.testing.assert_allclose(explanation.contributions, expected.contributions, atol=1e-4)
    np.testing.assert_allclose(explanation.level_deviations, expected.level_deviations, atol=1e-4)
    assert explanation.contributions.mean(axis=0).sum() == pytest.approx(explanation.squared_distance, rel=1e-6)
    assert np.sqrt(explanation.squared_distance) == pytest.approx(detector.score(near[14], RATE, far=far[14])[0], 1e-4)
    with pytest.raises(ValueError, match="clip 0 has no far clip, which microphones='cancel' needs"):
        detector.explain(near[14], RATE)


def test_vectors_of_cancel_are_of_one_channel_and_traits_those_of_the_near_one(tiny_checkpoint, near, far, tmp_path):
    for name, settings, arguments in (
        ("near", {}, {}),
        ("cancel", {"microphones": "cancel"}, {"far": 0.01 * far[:14]}),
    ):
        detector = load(tiny_checkpoint, **settings).fit(near[:14], RATE, **arguments)
        detector.save_pretrained(tmp_path / name)
    saved = {name: load_file(tmp_path / name / "references.safetensors") for name in ("near", "cancel")}
    for key in ("traits", "fingerprints"):
        torch.testing.assert_close(saved["cancel"][key], saved["near"][key], rtol=0, atol=0, equal_nan=True)
    assert saved["cancel"]["vectors"].shape == saved["near"]["vectors"].shape
    assert not torch.allclose(saved["cancel"]["vectors"], saved["near"]["vectors"], rtol=1e-2)


@pytest.mark.filterwarnings("ignore:1 clip differs from all references:UserWarning")  # files, and arrays
def test_when_a_far_clip_cannot_be_cancelled_then_the_others_are_scored_and_errors_name_the_clip(
    tiny_checkpoint, near, far, tmp_path
):
    detector = load(tiny_checkpoint, microphones="cancel", normalization="none")
    detector.fit(near[:14], RATE, far=far[:14])
    broken = {
        "copy": (0.5 * near[14], "copy.wav without its far clip is empty .* both hold the same sound"),
        "dead": (np.zeros(8000), r"the far clip of .*dead\.wav cannot be used: .*dead\.wav is silent"),
        "nan": (np.full(8000, np.nan), r"the far clip of .*nan\.wav cannot be used: .*nan\.wav holds NaN"),
    }
    for name, (other, _) in broken.items():
        sf.write(tmp_path / f"{name}.wav", np.stack([near[14], other], axis=1), RATE, subtype="FLOAT")
    sf.write(tmp_path / "whole.wav", np.stack([near[14], far[14]], axis=1), RATE, subtype="FLOAT")
    errors = []
    scores = detector.score(tmp_path, channel=0, far_channel=1, on_error=errors.append)
    assert np.isnan(scores).tolist() == [True, True, True, False]  # by name
    np.testing.assert_allclose(scores[3], detector.score(near[14], RATE, far=far[14])[0], rtol=1e-5)
    for error, (_, message) in zip(errors, broken.values(), strict=True):
        assert re.search(message, str(error))
    with pytest.raises(ValueError, match=r"clip 0 has 8000 samples and its far clip \(clip 0\) 7999"):
        detector.score(near[14], RATE, far=far[14, :-1])
    with pytest.raises(ValueError, match="clip 0 has 900 samples, fewer than the 1024 of a frame"):
        detector.score(near[14, :900], RATE, far=far[14, :900])


def test_explain_refuses_two_microphones(tiny_checkpoint, near, far):
    detector = load(tiny_checkpoint, microphones="residual").fit(near, RATE, far=far)
    with pytest.raises(ValueError, match=r"explain needs .*microphones='near' or 'cancel'"):
        detector.explain(near, RATE, far=far)
