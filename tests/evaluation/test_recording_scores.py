"""Recordings as they are, layer by layer, against a plain loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from scipy.spatial.distance import cdist
from transformers import set_seed

from modeling_retainmix.detection import domain_normalized_score, knn_distance, mem_mixup
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.normalization import distance_statistics
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsModel
from modeling_retainmix.evaluation.bootstrap import official_scores
from modeling_retainmix.evaluation.embedding_cache import EmbeddingCache
from modeling_retainmix.evaluation.recording_scores import RECORDINGS, score_recordings
from modeling_retainmix.evaluation.score_encoders import NamedEncoder
from modeling_retainmix.metrics.dcase_score.dcase_score import dcase_score

SECONDS = 0.4


@pytest.fixture(scope="module")
def table():
    generator = np.random.default_rng(0)
    cells = [("train", "source", "normal"), ("train", "target", "normal")]
    cells += [("test", domain, label) for domain in ("source", "target") for label in ("normal", "anomaly")]
    rows = [
        {
            "audio": generator.integers(-3000, 3000, length).astype(np.int16),  # shorter and longer than a clip
            "machine_type": machine_type,
            "section": section,
            "split": split,
            "domain": domain,
            "label": label,
            "file_name": f"{domain}_{split}/clip.wav",
        }
        for machine_type, section in (("fan", "00"), ("fan", "01"), ("valve", "00"))
        for split, domain, label in cells
        for length in (6400, 5600, 7000)
    ]
    return Dataset.from_list([rows[row] for row in generator.permutation(len(rows))])


@pytest.fixture(scope="module")
def encoder():
    set_seed(0)
    config = BeatsConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, patch_embed_size=8
    )
    return NamedEncoder("one", BeatsModel(config).eval(), BeatsFeatureExtractor(), (1, 2))


@pytest.mark.parametrize("rules", [2021, 2023])
def test_when_sections_are_scored_then_layers_score_as_in_a_plain_loop(table, encoder, tmp_path, rules):
    if rules == 2023:  # another layout
        table = table.remove_columns("file_name").add_column("file_name", ["clip.wav"] * len(table))
    cache = EmbeddingCache(tmp_path)
    found = score_recordings(table, SECONDS, [encoder], cache, batch_size=4, show_progress=False)
    samples = np.zeros((len(table), 6400), dtype=np.float32)
    for row, clip in enumerate(table["audio"]):
        samples[row, : len(clip)] = np.asarray(clip[:6400]) / 32768
    for layer in (1, 2):
        embed = Embedder(encoder.model, encoder.feature_extractor, [layer]).embed
        vectors = embed(torch.from_numpy(samples))[layer].numpy()
        columns = {name: np.asarray(table[name]) for name in ("machine_type", "section", "split", "label", "domain")}
        scores, tests = np.zeros(len(table)), columns["split"] == "test"
        for row in np.flatnonzero(tests):
            same = (columns["machine_type"] == columns["machine_type"][row]) & ~tests
            same &= columns["section"] == columns["section"][row]
            scores[row] = cdist(vectors[[row]], vectors[same]).min()
        expected = dcase_score(
            scores[tests],
            (columns["label"] == "anomaly")[tests].astype(int),
            columns["domain"][tests].tolist(),
            columns["machine_type"][tests].tolist(),
            columns["section"][tests].tolist(),
            rules=rules,
        )["official_score"]
        clips = found["one", layer]
        whole = np.ones((1, len(clips.machine_types)))
        assert official_scores(clips.scores[RECORDINGS], clips, whole)[0] == pytest.approx(expected, abs=1e-9)


def test_when_scored_again_then_only_clips_of_another_length_are_embedded(table, encoder, tmp_path, monkeypatch):
    cache = EmbeddingCache(tmp_path)
    first = score_recordings(table, SECONDS, [encoder], cache, show_progress=False)
    monkeypatch.setattr(BeatsFeatureExtractor, "extract_features", lambda *_: pytest.fail("embedded again"))
    again = score_recordings(table, SECONDS, [encoder], cache, show_progress=False)
    assert np.array_equal(first["one", 2].scores[RECORDINGS], again["one", 2].scores[RECORDINGS])
    with pytest.raises(pytest.fail.Exception):
        score_recordings(table, SECONDS / 2, [encoder], cache, show_progress=False)


def test_scores_obey_normalization_and_memmixup(table, encoder, tmp_path):
    cache = EmbeddingCache(tmp_path)
    samples = np.zeros((len(table), 6400), dtype=np.float32)
    for row, clip in enumerate(table["audio"]):
        samples[row, : len(clip)] = np.asarray(clip[:6400]) / 32768
    vectors = Embedder(encoder.model, encoder.feature_extractor, [2]).embed(torch.from_numpy(samples))[2]
    columns = {name: np.asarray(table[name]) for name in ("machine_type", "section", "split", "domain")}
    found = {}
    for settings in (
        DetectorSettings(backend="knn", normalization="none"),
        DetectorSettings(backend="knn", normalization="references"),
        DetectorSettings(backend="knn", normalization="test"),
        DetectorSettings(backend="knn", normalization="none", memmixup_neighbors=2),
    ):
        scored = score_recordings(table, SECONDS, [encoder], cache, settings, show_progress=False)
        found[settings] = scored["one", 2].scores[RECORDINGS]
        expected = []
        for machine_type, section in (("fan", "00"), ("fan", "01"), ("valve", "00")):
            rows = (columns["machine_type"] == machine_type) & (columns["section"] == section)
            source, target, tests = (
                vectors[rows & chosen]
                for chosen in (
                    (columns["split"] == "train") & (columns["domain"] == "source"),
                    (columns["split"] == "train") & (columns["domain"] == "target"),
                    columns["split"] == "test",
                )
            )
            if settings.memmixup_neighbors:
                target = mem_mixup(source, target, settings.memmixup_alpha, settings.memmixup_neighbors)
            distances = [knn_distance(tests, bank) for bank in (source, target)]
            statistics = (None, None)
            if settings.normalization == "references":
                statistics = [left_out_statistics(bank) for bank in (source, target)]
            if settings.normalization == "none":
                expected.append(torch.minimum(*distances))
            else:
                expected.append(domain_normalized_score(*distances, *statistics))
        np.testing.assert_allclose(found[settings], torch.cat(expected), rtol=1e-4, atol=1e-4)
    plain, *others = found.values()
    assert all(np.abs(other - plain).max() > 1e-3 for other in others)


def left_out_statistics(bank):
    rest = [torch.cat([bank[:row], bank[row + 1 :]]) for row in range(len(bank))]
    return distance_statistics(torch.cat([knn_distance(bank[row : row + 1], rest[row]) for row in range(len(bank))]))


def test_when_references_are_too_few_for_the_settings_then_domains_are_pooled_as_by_the_detector(
    table, encoder, tmp_path
):
    cache = EmbeddingCache(tmp_path)
    settings = DetectorSettings(backend="knn", normalization="references", k=4)
    with pytest.warns(UserWarning, match="needs 4 of each domain .*: both domains are pooled"):
        found = score_recordings(table, SECONDS, [encoder], cache, settings, show_progress=False)
    shared = replace(settings, bank="shared")
    expected = score_recordings(table, SECONDS, [encoder], cache, shared, show_progress=False)
    np.testing.assert_array_equal(found["one", 2].scores[RECORDINGS], expected["one", 2].scores[RECORDINGS])


def test_when_a_section_has_no_references_then_the_error_names_it(table, encoder, tmp_path):
    lacking = table.filter(lambda row: not (row["section"] == "01" and row["split"] == "train"))
    with pytest.raises(ValueError, match="section fan/01 has tests but no references"):
        score_recordings(lacking, SECONDS, [encoder], EmbeddingCache(tmp_path), show_progress=False)
