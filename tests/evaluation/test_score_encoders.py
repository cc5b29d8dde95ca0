"""Several encoders in one pass: as if each were scored alone, and nothing computed twice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_encoders import PROTOCOL, make_encoder

from modeling_retainmix.data.benchmark import KINDS
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.encoders import BeatsFeatureExtractor, LogMelConfig, LogMelModel
from modeling_retainmix.evaluation.compared_systems import LOG_MEL, LOG_MEL_STATISTICS
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache
from modeling_retainmix.evaluation.embeddings import embed_mixtures, embed_oracle
from modeling_retainmix.evaluation.score_encoders import log_mel_mean, log_mel_statistics, score_encoders
from modeling_retainmix.evaluation.scores import WHITENED, score_benchmark


def score(benchmark, encoders, **options):
    return score_encoders(benchmark, PROTOCOL, encoders, show_progress=False, **options)


@pytest.mark.parametrize("oracle", [False, True])
def test_when_encoders_are_scored_together_then_each_scores_as_it_does_alone(benchmark, oracle):
    encoders = [make_encoder("one", 0), make_encoder("two", 1, (1,))]
    together = score(benchmark, encoders, oracle=oracle)
    assert list(together) == [("one", 1), ("one", 2), ("two", 1)]
    embed_clips = embed_oracle if oracle else embed_mixtures
    for encoder in encoders:
        for layer in encoder.layers:
            embed = Embedder(encoder.model, encoder.feature_extractor, [layer]).embed
            alone = score_benchmark(benchmark, PROTOCOL, lambda m, embed=embed: embed_clips(m, PROTOCOL, embed))[layer]
            for cell, values in alone.clips.scores.items():
                assert np.array_equal(together[encoder.name, layer].clips.scores[cell], values)


def test_when_log_mel_is_among_them_then_it_is_the_mean_of_the_features(benchmark):
    extractor = BeatsFeatureExtractor()
    found = score(benchmark, [log_mel_mean(extractor)])[LOG_MEL, 0]

    def embed(waveforms):
        return {0: extractor.extract_features(waveforms).mean(dim=1)}

    expected = score_benchmark(benchmark, PROTOCOL, lambda m: embed_mixtures(m, PROTOCOL, embed))[0]
    assert found.cells == expected.cells


def test_log_mel_statistics_are_those_of_the_detector(benchmark):
    extractor = BeatsFeatureExtractor()
    found = score(benchmark, [log_mel_statistics(extractor)])[LOG_MEL_STATISTICS, 0]
    embed = Embedder(LogMelModel(LogMelConfig()), BeatsFeatureExtractor(clip_level=0.0), [0]).embed
    expected = score_benchmark(benchmark, PROTOCOL, lambda m: embed_mixtures(m, PROTOCOL, embed))[0]
    for cell, values in expected.clips.scores.items():
        np.testing.assert_allclose(found.clips.scores[cell], values, rtol=1e-4, atol=1e-5)


def test_whitened_views_are_scored_beside_the_others_on_the_same_embeddings(benchmark):
    encoder = make_encoder("one", 0)
    both = score(benchmark, [encoder], compared=[("one", 2, "whitened")])
    assert set(both) == {("one", 1), ("one", 2), ("one", 2, "whitened")}
    alone = score(benchmark, [encoder], settings=WHITENED)
    assert both["one", 2, "whitened"].cells == alone["one", 2].cells != both["one", 2].cells


@pytest.mark.parametrize("make", [lambda: make_encoder("one", 0), lambda: log_mel_statistics(BeatsFeatureExtractor())])
def test_joined_views_are_the_scores_of_a_detector_that_reads_all_their_blocks(benchmark, make):
    encoder = make()
    layer = encoder.layers[-1]
    view = (encoder.name, layer, "joined")
    found = score(benchmark, [encoder], compared=[view])
    assert set(found) == {view, *((encoder.name, layer) for layer in encoder.layers)}
    blocks = (layer, "recorded", f"change-{layer}", "change-recorded") if encoder.model else (0, "change-0")
    model = encoder.model or LogMelModel(LogMelConfig()).eval()
    embedder = Embedder(model, encoder.feature_extractor, blocks)

    def embed(waveforms):
        return {view: embedder.join(embedder.embed(waveforms))}

    alone = score_benchmark(
        benchmark, PROTOCOL, lambda m: embed_mixtures(m, PROTOCOL, embed), WHITENED, embedder.layout
    )
    for cell, values in alone[view].clips.scores.items():
        np.testing.assert_allclose(found[view].clips.scores[cell], values, rtol=1e-5)
        assert not np.allclose(found[view[:2]].clips.scores[cell], values)


def test_a_mean_over_time_has_no_changes_to_join(benchmark):
    with pytest.raises(ValueError, match="the log-mel mean has no changes to join: compare log_mel_statistics"):
        score(benchmark, [log_mel_mean(BeatsFeatureExtractor())], compared=[(LOG_MEL, 0, "joined")])


def test_when_a_cache_is_given_then_scores_are_equal_and_no_clip_is_embedded_again(benchmark, tmp_path, monkeypatch):
    encoders, cache = [make_encoder("one", 0)], EmbeddingCache(tmp_path)
    plain = score(benchmark, encoders)
    first = score(benchmark, encoders, cache=cache)
    monkeypatch.setattr(BeatsFeatureExtractor, "extract_features", lambda *_: pytest.fail("clips were embedded again"))
    again = score(benchmark, encoders, cache=cache)
    assert plain["one", 2].cells == first["one", 2].cells == again["one", 2].cells


def test_when_features_can_be_shared_then_they_are_computed_once_for_all_encoders(benchmark, monkeypatch):
    calls = []
    extract = BeatsFeatureExtractor.extract_features

    def counted(self, waveform, lengths=None):
        calls.append(len(waveform))
        return extract(self, waveform, lengths)

    monkeypatch.setattr(BeatsFeatureExtractor, "extract_features", counted)
    score(benchmark, [make_encoder("one", 0), make_encoder("two", 1), log_mel_mean(BeatsFeatureExtractor())])
    assert sum(calls) == 14 * len(KINDS) * len(PROTOCOL.snr_db)
    other = replace(make_encoder("two", 1), feature_extractor=BeatsFeatureExtractor(mean=3.0))
    calls.clear()
    score(benchmark, [make_encoder("one", 0), other])
    assert sum(calls) == 2 * 14 * len(KINDS) * len(PROTOCOL.snr_db)


def test_when_weights_configuration_layer_or_features_change_then_so_does_the_identity():
    encoder = make_encoder("one", 0)
    identities = [encoder.identity(1, False), encoder.identity(2, False), encoder.identity(1, True)]
    changed = make_encoder("one", 0)
    with torch.no_grad():
        changed.model.get_parameter("patch_embeddings.projection.weight").view(-1)[0] += 1e-6
    narrower = make_encoder("one", 0)
    narrower.model.config.max_bucket_distance = 10
    for other in (changed, narrower, replace(encoder, feature_extractor=BeatsFeatureExtractor(std=1.0))):
        identities.append(other.identity(1, False))
    assert len({str(identity) for identity in identities}) == len(identities)
    assert make_encoder("another name", 0).identity(1, False) == identities[0]


def test_oracle_brings_clean_clip_and_noise_to_the_level_by_the_offset_of_their_mixture(benchmark):
    encoder = replace(make_encoder("one", 0, (1,)), feature_extractor=BeatsFeatureExtractor(clip_level=-0.15))
    found = score(benchmark, [encoder], oracle=True)["one", 1]
    embedder = Embedder(encoder.model, BeatsFeatureExtractor(), [1])

    def embed_machine(machine):
        cells = {}
        for kind in KINDS:
            for _, clean, noise in machine.batches(kind, 1000):
                for snr_db in PROTOCOL.snr_db:
                    scaled = machine.gain(kind, snr_db) * noise
                    features = [embedder.feature_extractor.log_mel(sound) for sound in (clean + scaled, clean, scaled)]
                    offsets = [-0.15 - one.mean() for one in features[0]]
                    parts = [
                        torch.stack([one + o for one, o in zip(part, offsets, strict=True)]) for part in features[1:]
                    ]
                    values = [embedder.embed(clean, part)[1] for part in parts]
                    cells[kind, snr_db] = (values[0] + values[1]) / 2
        return {1: cells}

    expected = score_benchmark(benchmark, PROTOCOL, embed_machine)[1]
    for cell, values in expected.clips.scores.items():
        np.testing.assert_allclose(found.clips.scores[cell], values, rtol=1e-3)
    own_level = Embedder(encoder.model, encoder.feature_extractor, [1])
    own = score_benchmark(benchmark, PROTOCOL, lambda m: embed_oracle(m, PROTOCOL, own_level.embed))[1]
    assert any(
        not np.allclose(found.clips.scores[cell], own.clips.scores[cell], rtol=1e-2) for cell in own.clips.scores
    )
