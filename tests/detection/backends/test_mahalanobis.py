"""Mahalanobis distances against inverse matrices, and against Gaussians fitted without the left-out recording."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.mahalanobis import GaussianBank

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(21, 10, generator=GENERATOR) * torch.linspace(0.1, 3, 10)
QUERIES = torch.randn(6, 10, generator=GENERATOR)
IS_TARGET = torch.arange(21) >= 14  # the target domain has fewer vectors than dimensions
RECORDING = torch.arange(21) // torch.where(IS_TARGET, 1, 2) + torch.where(IS_TARGET, 50, 0)


def naive_distance(vectors: torch.Tensor, query: torch.Tensor, shrinkage: float) -> float:
    vectors, query = vectors.double().numpy(), query.double().numpy()
    covariance = np.cov(vectors.T, bias=True)
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    difference = query - vectors.mean(axis=0)
    inverse = np.linalg.inv((1 - shrinkage) * covariance + shrinkage * sphere)
    return float(np.sqrt(difference @ inverse @ difference))


@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 1.0])
def test_distances_are_those_of_the_inverse_covariance(shrinkage):
    distances = GaussianBank(VECTORS, RECORDING, IS_TARGET, shrinkage).distances(QUERIES)
    expected = [
        [naive_distance(VECTORS[rows], query, shrinkage) for rows in (~IS_TARGET, IS_TARGET)] for query in QUERIES
    ]
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-5)


def test_contrast_gives_the_squared_distance_and_the_nearest_recording():
    bank = GaussianBank(VECTORS, RECORDING, IS_TARGET)
    for query, distances in zip(QUERIES, bank.distances(QUERIES), strict=True):
        for domain, rows, distance in zip(("source", "target"), (~IS_TARGET, IS_TARGET), distances, strict=True):
            origin, direction, recording = bank.contrast(query, domain)
            torch.testing.assert_close(
                (query.double() - origin) @ direction, distance.double() ** 2, rtol=1e-5, atol=0
            )
            nearest = (VECTORS[rows] - query).norm(dim=1).argmin()
            assert recording == RECORDING[rows][nearest]


@pytest.mark.parametrize("shrinkage", [0.01, 0.1, 1.0])
def test_leaving_out_equals_gaussians_fitted_without_the_recording(shrinkage):
    distances = GaussianBank(VECTORS, RECORDING, IS_TARGET, shrinkage).leave_one_out()
    for row in range(21):
        others = RECORDING[row] != RECORDING
        without = GaussianBank(VECTORS[others], RECORDING[others], IS_TARGET[others], shrinkage)
        np.testing.assert_allclose(
            distances[row].numpy(), without.distances(VECTORS[row : row + 1])[0].numpy(), rtol=1e-4
        )


def test_when_vectors_do_not_vary_then_error_names_the_domain():
    with pytest.raises(ValueError, match="source domain has too few different references"):
        GaussianBank(torch.ones(5, 10), torch.arange(5), torch.zeros(5, dtype=torch.bool))


def test_when_a_domain_has_two_recordings_then_none_can_be_left_out():
    bank = GaussianBank(VECTORS[12:16], torch.arange(4), IS_TARGET[12:16])
    with pytest.raises(ValueError, match=r"source domain has too few different references .*backend='knn'"):
        bank.leave_one_out()


def test_when_there_are_no_references_then_error_says_so():
    with pytest.raises(ValueError, match="the machine has no references"):
        GaussianBank(VECTORS[:0], RECORDING[:0], IS_TARGET[:0])
