"""Scores from embeddings against plain loops over references."""

import warnings

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import domain_normalized_score
from modeling_retainmix.detection.backends.build import BACKENDS
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings

IS_TARGET_DOMAIN = np.array([False] * 6 + [True] * 4)


@pytest.fixture(scope="module")
def vectors():
    generator = np.random.default_rng(0)
    return generator.normal(0, 1 + 3 * IS_TARGET_DOMAIN[:, None], (10, 5))  # targets vary more


@pytest.fixture(scope="module")
def queries():
    return np.random.default_rng(1).normal(0, 2, (7, 5))


def domain_scores(vectors, normalization, rows=slice(None), **settings):
    rows = np.arange(10)[rows]
    return DomainScores(
        DetectorSettings(**{"backend": "knn", "normalization": normalization} | settings),
        torch.from_numpy(vectors[rows]).float(),
        torch.from_numpy(rows),
        torch.tensor(IS_TARGET_DOMAIN[rows]),
    )


def nearest(query, references):
    return min(np.linalg.norm(query - reference) for reference in references)


def left_out_distances(vectors, rows):
    return [nearest(vectors[row], [vectors[other] for other in rows if other != row]) for row in rows]


def naive_by_domain(queries, vectors, normalized):
    columns = []
    for is_target_domain in (False, True):
        rows = np.flatnonzero(is_target_domain == IS_TARGET_DOMAIN)
        left_out = left_out_distances(vectors, rows)
        mean, std = (np.mean(left_out), np.std(left_out)) if normalized else (0.0, 1.0)
        columns.append([(nearest(query, vectors[rows]) - mean) / std for query in queries])
    return np.array(columns).T


@pytest.mark.parametrize("normalization", ["none", "references"])
def test_scores_equal_plain_loops(vectors, queries, normalization):
    scores = domain_scores(vectors, normalization)
    found = torch.from_numpy(queries).float()
    expected = naive_by_domain(queries, vectors, normalization == "references")
    np.testing.assert_allclose(scores.normalized(scores.distances(found)), expected, rtol=1e-4)
    assert scores.scores(found).dtype == np.float64
    np.testing.assert_allclose(scores.scores(found), expected.min(axis=1), rtol=1e-4)


def test_with_test_normalization_the_published_rule_holds(vectors, queries):
    scores = domain_scores(vectors, "test").scores(torch.from_numpy(queries).float())
    expected = domain_normalized_score(*torch.from_numpy(naive_by_domain(queries, vectors, False)).T)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_references_are_scored_without_their_recording(vectors):
    found = domain_scores(vectors, "none").leave_one_out()
    expected = []
    for row in range(10):
        rest = [other for other in range(10) if other != row]
        expected.append(nearest(vectors[row], vectors[rest]))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_left_out_references_have_mean_zero_and_deviation_one_in_their_domain(vectors):
    scores = domain_scores(vectors, "references")
    for column, (domain, rows) in enumerate((("source", ~IS_TARGET_DOMAIN), ("target", IS_TARGET_DOMAIN))):
        distance = torch.zeros(10, 2)
        distance[:, column] = scores.backends[domain].reference_distances()
        normalized = scores.normalized(distance)[rows, column].numpy()
        assert normalized.mean() == pytest.approx(0, abs=1e-5)
        assert normalized.std() == pytest.approx(1, rel=1e-5)


def test_lower_bound_is_the_score_of_a_clip_that_equals_a_reference(vectors):
    scores = domain_scores(vectors, "references")
    assert scores.lower_bound == pytest.approx(float(scores.scores(torch.from_numpy(vectors).float()).min()))
    assert domain_scores(vectors, "none").lower_bound == 0


def test_when_there_is_one_domain_then_distances_stay_as_they_are(vectors, queries):
    scores = domain_scores(vectors, "references", slice(6)).scores(torch.from_numpy(queries).float())
    np.testing.assert_allclose(scores, naive_by_domain(queries, vectors, False)[:, 0], rtol=1e-4)


def test_backend_and_its_options_are_those_of_the_settings(vectors, queries):
    found = torch.from_numpy(queries).float()
    mixed = domain_scores(vectors, "none", memmixup_neighbors=2, memmixup_alpha=0.5)
    assert len(mixed.backends["target"].bank) == 4 + 4 * 2
    assert (mixed.scores(found) <= domain_scores(vectors, "none").scores(found)).all()
    third = domain_scores(vectors, "none", k=3)
    assert (third.scores(found) > domain_scores(vectors, "none").scores(found)).all()


@pytest.mark.parametrize("num_targets", [1, 2])  # two are as far from each other: no deviation
def test_when_a_domain_has_too_few_references_to_vary_then_scores_are_distances(vectors, queries, num_targets):
    rows, found = slice(6 + num_targets), torch.from_numpy(queries).float()
    scores = domain_scores(vectors, "references", rows)
    message = rf"normalization='references' .the target domain has {num_targets}.: scores are distances"
    with pytest.warns(UserWarning, match=message):
        scores.check_references()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one warning is enough
        np.testing.assert_array_equal(scores.scores(found), domain_scores(vectors, "none", rows).scores(found))


def test_the_only_reference_of_a_domain_is_scored_by_the_other_domain(vectors):
    found = domain_scores(vectors, "none", slice(7)).leave_one_out()
    assert found[6] == pytest.approx(nearest(vectors[6], vectors[:6]), rel=1e-5)


def test_when_there_is_one_recording_then_it_has_a_score_but_no_threshold(vectors, queries):
    scores = domain_scores(vectors, "references", slice(1))
    expected = [nearest(query, vectors[:1]) for query in queries]
    np.testing.assert_allclose(scores.scores(torch.from_numpy(queries).float()), expected, rtol=1e-5)
    message = r"one reference recording, which cannot be left out .*\(scoring works with one; a threshold needs two\)"
    with pytest.raises(ValueError, match=message):
        scores.leave_one_out()


@pytest.mark.parametrize("backend", [name for name in BACKENDS if not BACKENDS[name].needs_bands])
@pytest.mark.parametrize("rows", [slice(1), slice(2), slice(5, 7), slice(4, 7), slice(7), slice(8)])
@pytest.mark.filterwarnings("ignore:.*too few")
@pytest.mark.filterwarnings("ignore:.*no density")
def test_every_backend_scores_and_leaves_out_from_one_reference_up(vectors, queries, backend, rows):
    scores = domain_scores(vectors, "references", rows, backend=backend)
    assert np.isfinite(scores.scores(torch.from_numpy(queries).float())).all()
    if len(np.arange(10)[rows]) > 1:
        assert np.isfinite(scores.leave_one_out()).all()


def test_a_domain_with_too_few_references_is_pooled(vectors, queries):
    with pytest.warns(UserWarning, match="the target domain has 2.: both domains are pooled"):
        pooled = domain_scores(vectors, "references", slice(8), backend="mahalanobis")
    assert pooled.domains == ["source"]
    one_domain = DomainScores(
        DetectorSettings(backend="mahalanobis"),
        torch.from_numpy(vectors[:8]).float(),
        torch.arange(8),
        torch.zeros(8, dtype=torch.bool),
    )
    found = torch.from_numpy(queries).float()
    np.testing.assert_array_equal(pooled.scores(found), one_domain.scores(found))
    np.testing.assert_array_equal(pooled.leave_one_out(), one_domain.leave_one_out())


def test_with_one_bank_both_domains_are_searched_together(vectors, queries):
    found = torch.from_numpy(queries).float()
    shared = domain_scores(vectors, "references", bank="shared", k=2).scores(found)
    expected = [np.sort(np.linalg.norm(query - vectors, axis=1))[:2].mean() for query in queries]
    np.testing.assert_allclose(shared, expected, rtol=1e-5)
