"""The detector from audio to scores, decisions and explanations."""

import numpy as np
import pytest
import soundfile as sf
import torch

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection import domain_normalized_score, pool_tokens
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.encoders.feature_extraction_beats import BeatsFeatureExtractor
from modeling_retainmix.encoders.modeling_log_mel import patch_statistics

RATE = 16000
DOMAINS = ["source"] * 5 + ["target"] * 3


def saved(folder):
    return AnomalyDetector.from_pretrained(folder, device="cpu")


def load(checkpoint, **settings):
    return AnomalyDetector.from_pretrained(checkpoint, device="cpu", **({"backend": "knn"} | settings))


def pooled(tiny_model, feature_extractor, waveforms, layer=2):
    features = feature_extractor(waveforms, sampling_rate=RATE)["input_values"]
    with torch.no_grad():
        return pool_tokens(tiny_model(features, output_hidden_states=True).hidden_states[layer], 8)


def test_score_is_the_distance_to_the_nearest_reference(
    tiny_checkpoint, tiny_model, feature_extractor, references, tests
):
    scores = load(tiny_checkpoint).fit(references, RATE).score(tests, RATE)
    bank = pooled(tiny_model, feature_extractor, references)
    queries = pooled(tiny_model, feature_extractor, tests)
    expected = [min(float((q - b).norm()) for b in bank) for q in queries]
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_when_layer_is_not_given_then_config_names_it_and_no_higher_layer_is_loaded(tiny_checkpoint):
    assert len(load(tiny_checkpoint).embedder.model.layers) == 2  # embedding_layer
    assert len(load(tiny_checkpoint, layer=1).embedder.model.layers) == 1


def test_when_several_layers_are_read_then_their_vectors_lie_end_to_end(tiny_checkpoint, references, tests):
    def squared_scores(layer):
        return load(tiny_checkpoint, layer=layer).fit(references[:1], RATE).score(tests, RATE) ** 2

    np.testing.assert_allclose(squared_scores((1, 3)), squared_scores(1) + squared_scores(3), rtol=1e-5)


def test_without_normalization_the_smaller_of_both_domains_distances_counts(tiny_checkpoint, references, tests):
    def scores(rows, **arguments):
        return (
            load(tiny_checkpoint, k=2, normalization="none")
            .fit(references[rows], RATE, **arguments)
            .score(tests, RATE)
        )

    both = scores(slice(None), domains=DOMAINS)
    np.testing.assert_allclose(both, np.minimum(scores(slice(5)), scores(slice(5, 8))), rtol=1e-5)


def test_with_reference_normalization_a_score_does_not_depend_on_the_other_clips(tiny_checkpoint, references, tests):
    detector = load(tiny_checkpoint).fit(references, RATE, DOMAINS)
    together = detector.score(tests, RATE)
    np.testing.assert_allclose([detector.score(test, RATE)[0] for test in tests], together, rtol=1e-4)
    assert (together != load(tiny_checkpoint, normalization="none").fit(references, RATE).score(tests, RATE)).all()


def test_with_mahalanobis_scores_are_distances_to_the_gaussians(
    tiny_checkpoint, tiny_model, feature_extractor, references, tests, tmp_path
):
    settings = {"backend": "mahalanobis", "shrinkage": 0.3, "normalization": "none"}
    detector = load(tiny_checkpoint, **settings).fit(references, RATE, DOMAINS)
    vectors = pooled(tiny_model, feature_extractor, references)
    scores = DomainScores(DetectorSettings(**settings), vectors, torch.arange(8), torch.arange(8) >= 5)
    expected = scores.scores(pooled(tiny_model, feature_extractor, tests))
    np.testing.assert_allclose(detector.score(tests, RATE), expected, rtol=1e-4)
    detector.save_pretrained(tmp_path)
    np.testing.assert_allclose(saved(tmp_path).score(tests, RATE), detector.score(tests, RATE), rtol=1e-5)
    normalized = load(tiny_checkpoint, backend="mahalanobis").fit(references, RATE, DOMAINS)
    assert normalized.decide(references, RATE, 0.1).sum() == 0


def test_log_mel_scores_are_those_of_its_whitened_statistics(references, tests):
    def statistics(waveforms):
        features = BeatsFeatureExtractor()(waveforms, sampling_rate=RATE)["input_values"]
        return pool_tokens(patch_statistics(features, 16), 8)

    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu").fit(references, RATE, DOMAINS)
    settings = DetectorSettings(backend="whitened", normalization="none")
    layout = VectorLayout((48,), num_bands=8)
    scores = DomainScores(settings, statistics(references), torch.arange(8), torch.arange(8) >= 5, layout)
    np.testing.assert_allclose(detector.score(tests, RATE), scores.scores(statistics(tests)), rtol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        {"backend": "subband", "layer": (1, 2), "k": 2},
        {"backend": "density", "density_neighbors": 1, "metric": "cosine"},
        {"backend": "pca", "explained_variance": 0.8},
        {"backend": "whitened", "layer": (2,), "k": 2},
        {"backend": "mahalanobis", "covariance": "shared"},
        {"backend": "fusion", "density_neighbors": 1},
    ],
)
def test_with_every_backend_scores_are_those_of_domain_scores_and_survive_saving(
    tiny_checkpoint, tiny_model, feature_extractor, references, tests, tmp_path, settings
):
    def joined(waveforms):
        layers = settings.get("layer", (2,))
        return torch.cat([pooled(tiny_model, feature_extractor, waveforms, layer) for layer in layers], dim=1)

    detector = load(tiny_checkpoint, normalization="none", **settings).fit(references, RATE, DOMAINS)
    layout = VectorLayout((24,) * len(settings.get("layer", (2,))), num_bands=8)
    scores = DomainScores(detector.settings, joined(references), torch.arange(8), torch.arange(8) >= 5, layout)
    np.testing.assert_allclose(detector.score(tests, RATE), scores.scores(joined(tests)), rtol=1e-3)
    detector.save_pretrained(tmp_path)
    np.testing.assert_allclose(saved(tmp_path).score(tests, RATE), detector.score(tests, RATE), rtol=1e-5)
    normalized = load(tiny_checkpoint, **settings).fit(references, RATE, DOMAINS)
    assert normalized.decide(references, RATE, 0.1).sum() == 0
    assert normalized.threshold(0.4, "gamma") < normalized.threshold(0.05, "gamma")


@pytest.mark.parametrize(
    ("backend", "layer"),
    [("whitened", (2, "recorded", "change-2", "change-recorded")), ("knn", (2,)), ("fusion", (2,))],
)
def test_when_no_layer_is_named_then_the_backend_reads_what_it_was_chosen_with(tiny_checkpoint, backend, layer):
    detector = load(tiny_checkpoint, backend=backend)
    assert detector.settings.layer == layer and detector.embedder.layers == list(layer)
    named = load(tiny_checkpoint, backend=backend, layer=1)
    assert named.settings.layer == 1 and named.embedder.layers == [1]


@pytest.mark.parametrize("pooling", ["time_rdp", "time_generalized_mean", "time_mean_std"])
def test_bands_of_every_pooling_over_time_are_matched_one_by_one(
    tiny_checkpoint, tiny_model, feature_extractor, references, tests, pooling
):
    detector = load(tiny_checkpoint, backend="varmin", pooling=pooling, pooling_p=2.0, rdp_gamma=4.0)
    detector.fit(references, RATE, DOMAINS)

    def vectors(waveforms):
        features = feature_extractor.extract_features(torch.from_numpy(waveforms))
        with torch.no_grad():
            hidden = tiny_model(features, output_hidden_states=True).hidden_states[2]
        return pool_tokens(hidden, 8, pooling, p=2.0, gamma=4.0)

    scores = DomainScores(
        detector.settings, vectors(references), torch.arange(8), torch.arange(8) >= 5, detector.embedder.layout
    )
    assert scores.domains == ["source"]  # one bank for both
    np.testing.assert_allclose(detector.score(tests, RATE), scores.scores(vectors(tests)), rtol=1e-3, atol=1e-6)


def test_with_test_normalization_scores_follow_the_published_rule(tiny_checkpoint, references, tests):
    scores = load(tiny_checkpoint, normalization="test").fit(references, RATE, DOMAINS).score(tests, RATE)
    by_domain = [
        torch.from_numpy(load(tiny_checkpoint).fit(references[rows], RATE).score(tests, RATE))
        for rows in (slice(5), slice(5, 8))
    ]
    np.testing.assert_allclose(scores, domain_normalized_score(*by_domain).numpy(), rtol=1e-4)


def test_when_files_have_dcase_names_then_they_name_the_domains(tiny_checkpoint, references, tests, tmp_path):
    for index, (domain, clip) in enumerate(zip(DOMAINS, references, strict=True)):
        name = f"section_00_{domain}_train_normal_{index:04d}_a.wav"
        sf.write(tmp_path / name, clip, RATE, subtype="FLOAT")
    from_files = load(tiny_checkpoint).fit(tmp_path).score(tests, RATE)
    np.testing.assert_allclose(
        from_files, load(tiny_checkpoint).fit(references, RATE, DOMAINS).score(tests, RATE), rtol=1e-5
    )


def test_when_a_name_has_no_domain_then_all_references_count_as_one(tiny_checkpoint, references, tests, tmp_path):
    for name, clip in zip(("0000", "target_train_normal_0001", "source_train_normal_0002"), references, strict=False):
        sf.write(tmp_path / f"section_00_{name}.wav", clip, RATE, subtype="FLOAT")
    from_files = load(tiny_checkpoint).fit(tmp_path).score(tests, RATE)
    np.testing.assert_allclose(
        from_files, load(tiny_checkpoint).fit(references[:3], RATE).score(tests, RATE), rtol=1e-5
    )


def test_when_a_file_has_another_rate_then_it_is_resampled(tiny_checkpoint, references, tmp_path):
    time = np.arange(48000) / 48000
    tone = 0.3 * np.sin(2 * np.pi * 500 * time)
    for rate in (16000, 48000):
        sf.write(tmp_path / f"{rate}.wav", tone[:: 48000 // rate], rate, subtype="FLOAT")
    low, high = load(tiny_checkpoint).fit(references, RATE).score([tmp_path / "16000.wav", tmp_path / "48000.wav"])
    assert high == pytest.approx(low, rel=0.02)


def test_when_an_array_has_no_rate_then_error_asks_for_it(tiny_checkpoint, references):
    with pytest.raises(ValueError, match="pass sampling_rate="):
        load(tiny_checkpoint).fit(references)


def test_when_there_are_no_references_then_error_says_so(tiny_checkpoint, tests, tmp_path):
    with pytest.raises(ValueError, match="there is no clip"):
        load(tiny_checkpoint).fit([])
    with pytest.raises(ValueError, match="holds no sound file"):
        load(tiny_checkpoint).fit(tmp_path)
    with pytest.raises(ValueError, match="detector has no references: call fit"):
        load(tiny_checkpoint).score(tests, RATE)


def test_when_layer_is_higher_than_the_model_then_error_names_both(tiny_checkpoint):
    with pytest.raises(ValueError, match=r"layer=4: .* has 3 layers"):
        load(tiny_checkpoint, layer=4)


def test_when_references_are_added_then_scores_are_those_of_all(tiny_checkpoint, references, tests):
    grown = (
        load(tiny_checkpoint).fit(references[:6], RATE, DOMAINS[:6]).add_references(references[6:], RATE, DOMAINS[6:])
    )
    whole = load(tiny_checkpoint).fit(references, RATE, DOMAINS)
    np.testing.assert_allclose(grown.score(tests, RATE), whole.score(tests, RATE), rtol=1e-4)
    assert len(grown.reference_names) == 8


def test_when_fitted_again_then_earlier_references_are_forgotten(tiny_checkpoint, references, tests):
    detector = load(tiny_checkpoint).fit(tests, RATE).fit(references, RATE)
    assert detector.score(tests, RATE).min() > 0


def test_when_a_clip_is_long_then_its_windows_are_scored_and_the_highest_counts(tiny_checkpoint, references, tests):
    detector = load(tiny_checkpoint, window_seconds=0.5, hop_seconds=0.25).fit(references, RATE)
    long = np.concatenate([references[0], tests[0], references[1]])
    ((times, scores),) = detector.score_windows(long, RATE)
    assert times.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert scores[0] == pytest.approx(0, abs=1e-4)
    assert scores[2] == pytest.approx(detector.score(tests[0], RATE)[0], rel=1e-4)
    assert detector.score(long, RATE)[0] == scores.max()


def test_when_errors_are_collected_then_good_clips_have_their_scores_and_broken_ones_none(
    tiny_checkpoint, references, tests, tmp_path
):
    for name, clip in zip("adf", tests, strict=False):
        sf.write(tmp_path / f"{name}.wav", np.tile(clip, 3), RATE, subtype="FLOAT")
    detector = load(tiny_checkpoint, window_seconds=0.5, hop_seconds=0.5).fit(references, RATE)
    expected = detector.score(tmp_path)
    for name in "bceg":
        (tmp_path / f"{name}.wav").write_bytes(b"no sound")
    errors: list[Exception] = []
    scores = detector.score(tmp_path, on_error=errors.append)
    np.testing.assert_allclose(scores[[0, 3, 5]], expected, rtol=1e-5)
    assert np.isnan(scores[[1, 2, 4, 6]]).all() and len(scores) == 7
    assert [str(error).split(" ")[0] for error in errors] == [str(tmp_path / f"{name}.wav") for name in "bceg"]
    assert np.isnan(detector.score([tmp_path / "b.wav"], on_error=errors.append)).all()
    with pytest.raises(ValueError, match=r"b\.wav cannot be decoded"):
        detector.score(tmp_path)


def test_when_a_domain_has_too_few_references_then_both_are_pooled(tiny_checkpoint, references, tests):
    pooled = load(tiny_checkpoint, backend="mahalanobis")
    with pytest.warns(UserWarning, match=r"needs 3 of each domain \(the target domain has 2\): both .* are pooled"):
        pooled.fit(references[:6], RATE, ["source"] * 4 + ["target"] * 2)
    one_domain = load(tiny_checkpoint, backend="mahalanobis").fit(references[:6], RATE)
    np.testing.assert_allclose(pooled.score(tests, RATE), one_domain.score(tests, RATE), rtol=1e-5)
    assert pooled.threshold(0.4) == pytest.approx(one_domain.threshold(0.4))
    for test, explanation in zip(tests, pooled.explain(tests, RATE), strict=True):
        nearest = int(explanation.reference.removeprefix("clip "))
        assert explanation.domain == ("source" if nearest < 4 else "target")
        assert explanation.squared_distance == pytest.approx(pooled.score(test, RATE)[0] ** 2, rel=1e-4)


def test_when_there_is_one_reference_then_error_comes_before_any_clip_is_read(tiny_checkpoint, references, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match="the machine has one reference recording, which cannot be left out"):
        load(tiny_checkpoint).fit(references[:1], RATE).decide(tmp_path)


def test_when_clips_are_of_another_length_and_time_is_kept_then_error_says_so(tiny_checkpoint, references, tests):
    detector = load(tiny_checkpoint, pooling="frequency_mean").fit(references, RATE)
    longer = np.tile(tests[0], 2)
    for call in (detector.score, detector.add_references):
        with pytest.raises(
            ValueError, match="clip 0 differs in length from the references, which pooling='frequency_mean' keeps"
        ):
            call(longer, RATE)


def test_when_batch_size_is_zero_then_error_names_it(tiny_checkpoint):
    with pytest.raises(ValueError, match="batch_size=0"):
        AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", batch_size=0)


def test_threshold_is_of_the_references_left_out_one_by_one(tiny_checkpoint, references):
    detector = load(tiny_checkpoint).fit(references, RATE)
    left_out = [
        load(tiny_checkpoint).fit(np.delete(references, row, axis=0), RATE).score(references[row], RATE)[0]
        for row in range(8)
    ]
    assert detector.threshold(0.1) == pytest.approx(max(left_out), rel=1e-4)
    assert detector.threshold(0.5) == pytest.approx(sorted(left_out)[4], rel=1e-4)  # rank 0.5 * 9 = 4.5, up to 5


def test_windows_of_one_recording_are_left_out_together(tiny_checkpoint, references):
    recordings = [np.tile(clip, 2) for clip in references]  # both windows are equal
    detector = load(tiny_checkpoint, window_seconds=0.5, hop_seconds=0.5).fit(recordings, RATE)
    single = load(tiny_checkpoint).fit(references, RATE)
    assert detector.threshold() == pytest.approx(single.threshold(), rel=1e-4)


@pytest.mark.parametrize("method", ["quantile", "gamma"])
@pytest.mark.parametrize("domains", [None, DOMAINS])
def test_decisions_compare_scores_with_the_threshold(tiny_checkpoint, references, tests, method, domains):
    detector = load(tiny_checkpoint).fit(references, RATE, domains)
    decisions = detector.decide(tests, RATE, 0.4, method)
    assert decisions.dtype == bool
    np.testing.assert_array_equal(decisions, detector.score(tests, RATE) > detector.threshold(0.4, method))
    assert detector.threshold(0.4, method) < detector.threshold(0.05, method)


def test_when_scores_depend_on_the_other_clips_then_there_is_no_threshold(tiny_checkpoint, references):
    detector = load(tiny_checkpoint, normalization="test").fit(references, RATE, DOMAINS)
    with pytest.raises(ValueError, match="normalization='test'"):
        detector.threshold()


@pytest.mark.parametrize("layer", [(0, 2), (1, "log-mel"), (2, "log-mel", "level"), "log-mel", "statistics"])
@pytest.mark.parametrize("backend", ["knn", "mahalanobis", "whitened"])
def test_explanation_of_joined_layers_adds_up_to_the_squared_score(tiny_checkpoint, references, tests, backend, layer):
    settings = {"backend": backend, "normalization": "none"}
    detector = load("log-mel", **settings) if layer == "statistics" else load(tiny_checkpoint, layer=layer, **settings)
    detector.fit(references, RATE, DOMAINS)
    for explanation, score in zip(detector.explain(tests, RATE), detector.score(tests, RATE), strict=True):
        np.testing.assert_allclose(explanation.contributions.mean(axis=0).sum(), score**2, rtol=1e-4)
        assert explanation.squared_distance == pytest.approx(score**2, rel=1e-4)


def test_joined_blocks_weigh_the_same(tiny_checkpoint, references, tests):
    """The squared distance to one reference is that of each block, over the variance of its references."""
    joined = load(tiny_checkpoint, layer=(1, "log-mel")).fit(references, RATE)
    squares = np.zeros((len(tests), len(references)))
    for layer in (1, "log-mel"):
        alone = load(tiny_checkpoint, layer=layer)
        vectors = [alone.fit(clip, RATE)._memory.tensors["vectors"].double() for clip in (*references, *tests)]
        vectors = torch.cat(vectors).numpy()
        of_references = vectors[: len(references)]
        variance = ((of_references - of_references.mean(axis=0)) ** 2).sum(axis=1).mean()
        squares += ((vectors[len(references) :, None] - of_references) ** 2).sum(axis=2) / variance
    np.testing.assert_allclose(joined.score(tests, RATE), np.sqrt(squares.min(axis=1)), rtol=1e-4)


@pytest.mark.parametrize("settings", [{"backend": "subband"}, {"backend": "varmin"}, {"microphones": "fusion"}])
def test_joined_blocks_serve_every_backend_and_both_microphones(tiny_checkpoint, references, tests, settings):
    detector = load(tiny_checkpoint, layer=(1, "log-mel"), **settings)
    far = {} if "microphones" not in settings else {"far": references}
    detector.fit(references, RATE, **far)
    scores = detector.score(tests, RATE, **({"far": tests} if far else {}))
    assert np.isfinite(scores).all() and len(np.unique(scores)) == len(tests)


def test_statistics_need_no_download_and_hear_the_level_unless_it_is_taken_away(references, tests):
    centred = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="knn", layer="log-mel")
    scores = centred.fit(references, RATE).score(tests, RATE)
    np.testing.assert_allclose(centred.score(4 * tests, RATE), scores, rtol=5e-2)
    for layer in (None, ("log-mel", "level")):
        with_level = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="knn", layer=layer)
        with_level.fit(references, RATE)
        assert (with_level.score(4 * tests, RATE) > 1.3 * with_level.score(tests, RATE)).all()
    with pytest.raises(ValueError, match="layer=3: log-mel has 0 layers"):
        AnomalyDetector.from_pretrained("log-mel", layer=3)


@pytest.mark.parametrize("backend", ["knn", "mahalanobis", "whitened"])
def test_explanation_adds_up_to_the_squared_score_and_names_the_nearest_reference(
    tiny_checkpoint, references, tests, backend
):
    detector = load(tiny_checkpoint, backend=backend, layer=2, normalization="none").fit(references, RATE, DOMAINS)
    for test, explanation in zip(tests, detector.explain(tests, RATE), strict=True):
        (score,) = detector.score(test, RATE)
        assert explanation.contributions.shape == explanation.level_deviations.shape == (3, 8)
        np.testing.assert_allclose(explanation.contributions.mean(axis=0).sum(), score**2, rtol=1e-4)
        assert explanation.squared_distance == pytest.approx(score**2, rel=1e-4)
        nearest = int(explanation.reference.removeprefix("clip "))
        assert explanation.domain == DOMAINS[nearest]
        rows = [row for row, domain in enumerate(DOMAINS) if domain == explanation.domain]
        alone = [load(tiny_checkpoint, layer=2).fit(references[row], RATE).score(test, RATE)[0] for row in rows]
        assert rows[int(np.argmin(alone))] == nearest
        assert explanation.column_seconds == 0.16


def test_level_deviations_locate_bursts(tiny_checkpoint):
    """Bursts of 0.3 s in one frequency patch, as loud as the machine: the top 5 % of cells hit 80 % of them."""
    generator = np.random.default_rng(0)
    time = np.arange(3 * RATE) / RATE
    machine = np.sin(2 * np.pi * 97 * time) + 0.3 * np.sin(2 * np.pi * 1940 * time)
    machines = 0.1 * (machine + generator.normal(0, 0.3, (24, len(time))))
    mel_edges = np.linspace(1127 * np.log1p(20 / 700), 1127 * np.log1p(8000 / 700), 130)
    hits = 0
    explained = load(tiny_checkpoint, layer=1).fit(machines[:12].astype(np.float32), RATE)
    for clip in machines[12:]:
        patch, start = generator.integers(2, 8), generator.uniform(0.2, 2.4)
        mel = generator.uniform(mel_edges[16 * patch + 4], mel_edges[16 * patch + 13])
        inside = (time >= start) & (time < start + 0.3)
        burst = inside * np.sin(2 * np.pi * 700 * np.expm1(mel / 1127) * time)
        clip = clip + burst * np.sqrt((clip**2).mean() / (burst[inside] ** 2).mean())
        (explanation,) = explained.explain(clip.astype(np.float32), RATE)
        deviations = np.abs(explanation.level_deviations)
        columns, patches = np.nonzero(deviations >= np.quantile(deviations, 0.95))
        at = columns * explanation.column_seconds
        hits += np.any((patches == patch) & (at > start - 0.16) & (at < start + 0.3))
    assert hits >= 0.8 * 12


def test_explanation_is_of_the_window_with_the_highest_score(tiny_checkpoint, references, tests):
    detector = load(tiny_checkpoint, window_seconds=0.5, hop_seconds=0.5).fit(references, RATE)
    (explanation,) = detector.explain(np.concatenate([references[0], tests[0]]), RATE)
    assert explanation.start_seconds == 0.5
    assert explanation.squared_distance == pytest.approx(detector.score(tests[0], RATE)[0] ** 2, rel=1e-4)


def test_no_forward_holds_more_windows_than_a_batch(tiny_checkpoint, references, tests):
    detector = AnomalyDetector.from_pretrained(
        tiny_checkpoint, device="cpu", batch_size=2, backend="knn", window_seconds=0.5, hop_seconds=0.5
    )
    sizes, tokens = [], detector.embedder.tokens
    detector.embedder.tokens = lambda waveforms, *rest: sizes.append(len(waveforms)) or tokens(waveforms, *rest)
    long = np.concatenate([*references, *tests])
    detector.fit(long, RATE).score(long, RATE)
    detector.explain(long, RATE)
    assert max(sizes) == 2


def test_when_a_clip_to_explain_is_too_short_then_error_names_it(tiny_checkpoint, references):
    with pytest.raises(ValueError, match=r"clip 1 is 0\.125 s long; at least"):
        load(tiny_checkpoint).fit(references, RATE).explain([references[0], references[0][:2000]], RATE)


@pytest.mark.parametrize("settings", [{"k": 2}, {"metric": "cosine"}, {"pooling": "mean"}, {"backend": "fusion"}])
def test_when_the_map_would_not_add_up_then_error_says_what_is_needed(tiny_checkpoint, references, settings):
    with pytest.raises(ValueError, match="explain needs backend='mahalanobis', or 'knn' with k=1"):
        load(tiny_checkpoint, density_neighbors=1, **settings).fit(references, RATE).explain(references, RATE)


def test_when_a_fit_fails_then_the_references_of_the_earlier_one_stay(tiny_checkpoint, clips, tests):
    detector = AnomalyDetector.from_pretrained(tiny_checkpoint, device="cpu", backend="knn").fit(clips[:4], RATE)
    before = detector.score(tests, RATE)
    with pytest.raises(ValueError, match="groups"):
        detector.fit(clips[4:6], RATE, groups=["a"])
    assert len(detector.reference_names) == 4
    np.testing.assert_array_equal(detector.score(tests, RATE), before)
