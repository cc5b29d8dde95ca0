"""Mahalanobis distances against inverse matrices, and against Gaussians fitted without the left-out recording."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(21, 10, generator=GENERATOR) * torch.linspace(0.1, 3, 10)
QUERIES = torch.randn(6, 10, generator=GENERATOR)
IS_TARGET_DOMAIN = torch.arange(21) >= 14  # the target domain has fewer vectors than dimensions
RECORDING_INDEX = torch.arange(21) // torch.where(IS_TARGET_DOMAIN, 1, 2) + torch.where(IS_TARGET_DOMAIN, 50, 0)
REFERENCES = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN)
DOMAINS = ("source", "target")


def naive_distance(vectors: torch.Tensor, query: torch.Tensor, shrinkage: float) -> float:
    vectors, query = vectors.double().numpy(), query.double().numpy()
    covariance = np.cov(vectors.T, bias=True)
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    difference = query - vectors.mean(axis=0)
    inverse = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * sphere)
    return float(np.sqrt(difference @ inverse @ difference))


@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("domain", DOMAINS)
def test_distances_are_those_of_the_inverse_covariance(domain, shrinkage):
    distance = MahalanobisBackend(REFERENCES, domain, shrinkage).distance(QUERIES)
    expected = [naive_distance(VECTORS[REFERENCES.rows(domain)], query, shrinkage) for query in QUERIES]
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("domain", DOMAINS)
def test_contrast_gives_the_squared_distance_and_the_nearest_recording(domain):
    backend, rows = MahalanobisBackend(REFERENCES, domain), REFERENCES.rows(domain)
    assert backend.has_contrast
    for query, distance in zip(QUERIES, backend.distance(QUERIES), strict=True):
        origin, direction, recording_index = backend.contrast(query)
        torch.testing.assert_close((query.double() - origin) @ direction, distance.double() ** 2, rtol=1e-5, atol=0)
        nearest = (VECTORS[rows] - query).norm(dim=1).argmin()
        assert recording_index == RECORDING_INDEX[rows][nearest]


@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("domain", DOMAINS)
def test_leaving_out_equals_gaussians_fitted_without_the_recording(domain, shrinkage):
    distances = MahalanobisBackend(REFERENCES, domain, shrinkage).reference_distances()
    for row in range(21):
        others = RECORDING_INDEX[row] != RECORDING_INDEX
        rest = References(VECTORS[others], RECORDING_INDEX[others], IS_TARGET_DOMAIN[others])
        expected = MahalanobisBackend(rest, domain, shrinkage).distance(VECTORS[row : row + 1])
        np.testing.assert_allclose(distances[row].numpy(), expected[0].numpy(), rtol=1e-4)


def test_when_vectors_do_not_vary_then_error_names_the_domain():
    equal = References(torch.ones(5, 10), torch.arange(5), torch.zeros(5, dtype=torch.bool))
    with pytest.raises(ValueError, match="source domain has too few different references"):
        MahalanobisBackend(equal, "source")


def test_when_a_domain_has_two_recordings_then_none_can_be_left_out():
    backend = MahalanobisBackend(References(VECTORS[12:16], torch.arange(4), IS_TARGET_DOMAIN[12:16]), "source")
    with pytest.raises(ValueError, match=r"source domain has too few different references .*backend='knn'"):
        backend.leave_one_out()
