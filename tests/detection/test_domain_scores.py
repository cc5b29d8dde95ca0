"""Scores from embeddings against plain loops over references."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import domain_normalized_score
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


def test_when_a_domain_has_one_reference_then_error_says_what_to_add(vectors, queries):
    scores = domain_scores(vectors, "references", slice(7))
    for call in (scores.check_references, lambda: scores.scores(torch.from_numpy(queries).float())):
        with pytest.raises(ValueError, match="too few references to leave one recording out"):
            call()
    domain_scores(vectors, "none", slice(7)).check_references()  # which needs no statistics
