"""PCA residuals against eigenvectors of the covariance, and against subspaces fitted without the left-out clips."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.pca import PcaBackend

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(19, 8, generator=GENERATOR) * torch.linspace(0.1, 3, 8)
QUERIES = torch.randn(5, 8, generator=GENERATOR)
IS_TARGET_DOMAIN = torch.arange(19) >= 13  # the target domain has fewer vectors than dimensions
RECORDING_INDEX = torch.arange(19) // torch.where(IS_TARGET_DOMAIN, 1, 2) + torch.where(IS_TARGET_DOMAIN, 50, 0)
REFERENCES = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN)
DOMAINS = ("source", "target")


def naive_residual(vectors: torch.Tensor, query: torch.Tensor, explained_variance: float) -> float:
    vectors, query = vectors.double().numpy(), query.double().numpy()
    mean = vectors.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(vectors.T, bias=True))
    values, axes = values[::-1], axes[:, ::-1]
    count = next(c for c in range(1, 9) if values[:c].sum() >= explained_variance * values.sum())
    rest = query - mean
    for axis in axes.T[:count]:
        rest = rest - (rest @ axis) * axis
    return float(np.linalg.norm(rest))


@pytest.mark.parametrize("explained_variance", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("domain", DOMAINS)
def test_distances_are_what_the_principal_axes_do_not_hold(domain, explained_variance):
    distance = PcaBackend(REFERENCES, domain, explained_variance).distance(QUERIES)
    expected = [naive_residual(VECTORS[REFERENCES.rows(domain)], query, explained_variance) for query in QUERIES]
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("explained_variance", [0.3, 0.95])
@pytest.mark.parametrize("domain", DOMAINS)
def test_leaving_out_equals_subspaces_fitted_without_the_recording(domain, explained_variance):
    left_out = PcaBackend(REFERENCES, domain, explained_variance).reference_distances()
    for row in range(19):
        others = RECORDING_INDEX[row] != RECORDING_INDEX
        rest = References(VECTORS[others], RECORDING_INDEX[others], IS_TARGET_DOMAIN[others])
        expected = PcaBackend(rest, domain, explained_variance).distance(VECTORS[row : row + 1])
        np.testing.assert_allclose(left_out[row].numpy(), expected[0].numpy(), rtol=1e-4)


def test_when_there_are_many_recordings_then_they_are_left_out_in_twenty_parts():
    vectors = torch.randn(45, 6, generator=GENERATOR)
    source = torch.zeros(45, dtype=torch.bool)
    left_out = PcaBackend(References(vectors, torch.arange(45), source), "source").leave_one_out()
    for row in (0, 19, 44):
        others = torch.arange(45) % 20 != row % 20
        rest = References(vectors[others], torch.arange(45)[others], source[others])
        expected = PcaBackend(rest, "source").distance(vectors[row : row + 1])
        assert float(left_out[row]) == pytest.approx(float(expected), rel=1e-4)


def test_when_references_are_equal_then_the_distance_to_them_counts():
    equal = References(torch.ones(3, 4), torch.arange(3), torch.zeros(3, dtype=torch.bool))
    assert PcaBackend(equal, "source").distance(torch.zeros(1, 4)).tolist() == [2.0]


def test_when_the_only_recording_is_left_out_then_the_distance_is_infinite():
    references = References(VECTORS[:2], RECORDING_INDEX[:2], IS_TARGET_DOMAIN[:2])
    assert PcaBackend(references, "source").leave_one_out().tolist() == [torch.inf] * 2


def test_the_distance_to_one_reference_is_euclidean():
    one = References(VECTORS[:1], RECORDING_INDEX[:1], IS_TARGET_DOMAIN[:1])
    torch.testing.assert_close(PcaBackend(one, "source").distance(QUERIES), (QUERIES - VECTORS[0]).norm(dim=1))
