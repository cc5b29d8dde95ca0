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
        origin, direction, row = backend.contrast(query)
        torch.testing.assert_close((query.double() - origin) @ direction, distance.double() ** 2, rtol=1e-5, atol=0)
        nearest = (VECTORS[rows] - query).norm(dim=1).argmin()
        assert row == rows.nonzero()[nearest]


@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("domain", DOMAINS)
def test_leaving_out_equals_gaussians_fitted_without_the_recording(domain, shrinkage):
    distances = MahalanobisBackend(REFERENCES, domain, shrinkage).reference_distances()
    for row in range(21):
        others = RECORDING_INDEX[row] != RECORDING_INDEX
        rest = References(VECTORS[others], RECORDING_INDEX[others], IS_TARGET_DOMAIN[others])
        expected = MahalanobisBackend(rest, domain, shrinkage).distance(VECTORS[row : row + 1])
        np.testing.assert_allclose(distances[row].numpy(), expected[0].numpy(), rtol=1e-4)


def naive_shared_distance(references: References, domain: str, query: torch.Tensor, shrinkage: float) -> float:
    residuals = references.vectors.double().numpy().copy()
    for each in references.domains:
        rows = references.rows(each).numpy()
        residuals[rows] -= residuals[rows].mean(axis=0)
    covariance = residuals.T @ residuals / len(residuals)
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    mean = references.vectors[references.rows(domain)].double().numpy().mean(axis=0)
    difference = query.double().numpy() - mean
    return float(np.sqrt(difference @ np.linalg.inv((1 - shrinkage) * covariance + shrinkage * sphere) @ difference))


@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_shared_covariance_is_that_of_all_references_about_the_mean_of_their_domain(domain, shrinkage):
    backend = MahalanobisBackend(REFERENCES, domain, shrinkage, "shared")
    expected = [naive_shared_distance(REFERENCES, domain, query, shrinkage) for query in QUERIES]
    np.testing.assert_allclose(backend.distance(QUERIES).numpy(), expected, rtol=1e-5)
    origin, direction, _ = backend.contrast(QUERIES[0])
    assert float((QUERIES[0].double() - origin) @ direction) == pytest.approx(expected[0] ** 2, rel=1e-6)


@pytest.mark.parametrize("domain", DOMAINS)
def test_with_a_shared_covariance_leaving_out_equals_backends_fitted_without_the_recording(domain):
    backend = MahalanobisBackend(REFERENCES, domain, covariance="shared")
    distances = backend.reference_distances()
    for row in range(21):
        others = RECORDING_INDEX[row] != RECORDING_INDEX
        rest = References(VECTORS[others], RECORDING_INDEX[others], IS_TARGET_DOMAIN[others])
        expected = naive_shared_distance(rest, domain, VECTORS[row], 0.1)
        assert float(distances[row]) == pytest.approx(expected, rel=1e-4)
    assert torch.equal(backend.leave_one_out(), distances[REFERENCES.rows(domain)])


def test_with_a_shared_covariance_one_reference_of_a_domain_is_enough():
    rows = torch.arange(15)  # one in the target domain
    references = References(VECTORS[rows], rows, IS_TARGET_DOMAIN[rows])
    backend = MahalanobisBackend(references, "target", covariance="shared")
    expected = [naive_shared_distance(references, "target", query, 0.1) for query in QUERIES]
    np.testing.assert_allclose(backend.distance(QUERIES).numpy(), expected, rtol=1e-5)
    assert backend.leave_one_out().tolist() == [torch.inf]


@pytest.mark.parametrize("covariance", ["domain", "shared"])
def test_when_vectors_do_not_vary_then_the_distance_to_their_mean_counts(covariance):
    equal = References(torch.ones(5, 10), torch.arange(5), torch.zeros(5, dtype=torch.bool))
    message = r"source domain has too few different references for a covariance \(5\).* add references$"
    with pytest.warns(UserWarning, match=message):
        backend = MahalanobisBackend(equal, "source", covariance=covariance)
    torch.testing.assert_close(backend.distance(QUERIES), (QUERIES - 1).norm(dim=1))
    assert backend.leave_one_out().tolist() == [0.0] * 5


def test_when_the_other_domain_varies_then_whitened_distances_are_advised():
    vectors = torch.cat([torch.ones(3, 10), VECTORS[:3, :10]])
    references = References(vectors, torch.arange(6), torch.arange(6) >= 3)
    with pytest.warns(UserWarning, match="add references or use backend='whitened'$"):
        MahalanobisBackend(references, "source")


def test_when_nothing_varies_without_a_recording_then_the_covariance_is_held():
    two = References(VECTORS[12:14], torch.arange(2), IS_TARGET_DOMAIN[12:14])
    backend = MahalanobisBackend(two, "source")
    # each is compared with the other one, which is twice as far as their mean
    expected = [2 * naive_distance(VECTORS[12:14], vector, 0.1) for vector in VECTORS[12:14]]
    np.testing.assert_allclose(backend.leave_one_out().numpy(), expected, rtol=1e-5)


def test_a_covariance_of_one_domain_needs_three_recordings():
    assert MahalanobisBackend.needed_recordings({"covariance": "domain"}) == 3
    assert MahalanobisBackend.needed_recordings({"covariance": "shared"}) == 1
