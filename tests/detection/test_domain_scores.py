"""Normalisation of a bank's distances against plain loops over references."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import domain_normalized_score
from modeling_retainmix.detection.backends.knn import MemoryBank
from modeling_retainmix.detection.domain_scores import NormalizedBank

IS_TARGET = np.array([False] * 6 + [True] * 4)


@pytest.fixture(scope="module")
def vectors():
    generator = np.random.default_rng(0)
    return generator.normal(0, 1 + 3 * IS_TARGET[:, None], (10, 5))  # targets vary more


@pytest.fixture(scope="module")
def queries():
    return np.random.default_rng(1).normal(0, 2, (7, 5))


def bank(vectors, rows=slice(None)):
    rows = np.arange(10)[rows]
    return MemoryBank(torch.from_numpy(vectors[rows]).float(), torch.from_numpy(rows), torch.tensor(IS_TARGET[rows]))


def nearest(query, references):
    return min(np.linalg.norm(query - reference) for reference in references)


def naive_scores(queries, vectors, normalized):
    columns = []
    for is_target in (False, True):
        own = [row for row in range(10) if IS_TARGET[row] == is_target]
        left_out = [nearest(vectors[row], [vectors[other] for other in own if other != row]) for row in own]
        mean, std = (np.mean(left_out), np.std(left_out)) if normalized else (0.0, 1.0)
        columns.append([(nearest(query, vectors[own]) - mean) / std for query in queries])
    return np.array(columns).T


@pytest.mark.parametrize("normalization", ["none", "references"])
def test_scores_equal_plain_loops(vectors, queries, normalization):
    scores = NormalizedBank(bank(vectors), normalization).scores(torch.from_numpy(queries).float())
    np.testing.assert_allclose(scores, naive_scores(queries, vectors, normalization == "references"), rtol=1e-4)


def test_with_test_normalization_the_published_rule_holds(vectors, queries):
    scores = NormalizedBank(bank(vectors), "test").scores(torch.from_numpy(queries).float())
    expected = domain_normalized_score(*torch.from_numpy(naive_scores(queries, vectors, False)).T)
    np.testing.assert_allclose(scores.amin(dim=1), expected, rtol=1e-4)


def test_left_out_references_have_mean_zero_and_deviation_one_in_their_own_domain(vectors):
    left_out = NormalizedBank(bank(vectors), "references").leave_one_out().numpy()
    for column, own in enumerate((~IS_TARGET, IS_TARGET)):
        assert left_out[own, column].mean() == pytest.approx(0, abs=1e-5)
        assert left_out[own, column].std() == pytest.approx(1, rel=1e-5)


def test_lowest_is_the_score_of_a_clip_that_equals_a_reference(vectors):
    normalized = NormalizedBank(bank(vectors), "references")
    assert normalized.lowest() == pytest.approx(float(normalized.scores(torch.from_numpy(vectors).float()).amin()))
    assert NormalizedBank(bank(vectors), "none").lowest() == 0


def test_when_there_is_one_domain_then_distances_stay_as_they_are(vectors, queries):
    scores = NormalizedBank(bank(vectors, slice(6)), "references").scores(torch.from_numpy(queries).float())
    np.testing.assert_allclose(scores, naive_scores(queries, vectors, False)[:, :1], rtol=1e-4)


def test_when_a_domain_has_one_reference_then_error_says_what_to_add(vectors, queries):
    with pytest.raises(ValueError, match="too few references to leave one recording out"):
        NormalizedBank(bank(vectors, slice(7)), "references").scores(torch.from_numpy(queries).float())
