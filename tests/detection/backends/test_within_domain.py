"""The covariance in the span of the references against dense matrices over features."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.within_domain import WithinDomainScatter

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = 3 + torch.randn(14, 30, generator=GENERATOR) * torch.linspace(0.1, 2, 30)
IS_TARGET_DOMAIN = torch.arange(14) >= 10
REFERENCES = References(VECTORS, torch.arange(14), IS_TARGET_DOMAIN)
QUERIES = torch.randn(5, 30, generator=GENERATOR)


def dense_residuals(references: References) -> np.ndarray:
    residuals = references.vectors.double().numpy().copy()
    for domain in references.domains:
        rows = references.rows(domain).numpy()
        residuals[rows] -= residuals[rows].mean(axis=0)
    return residuals


def dense_covariance(references: References, shrinkage: float) -> np.ndarray:
    residuals = dense_residuals(references)
    covariance = residuals.T @ residuals / len(residuals)
    sphere = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return (1 - shrinkage) * covariance + shrinkage * sphere


@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_eigenvalues_and_axes_are_those_of_the_dense_covariance(shrinkage):
    scatter = WithinDomainScatter(REFERENCES)
    along, across = scatter.eigenvalues(shrinkage)
    axes = scatter.axes
    outside = torch.eye(30, dtype=torch.float64) - axes.T @ axes
    found = (axes.T * along) @ axes + across * outside
    np.testing.assert_allclose(found.numpy(), dense_covariance(REFERENCES, shrinkage), atol=1e-10)


@pytest.mark.parametrize("domain", ["source", "target"])
def test_split_measures_what_lies_along_and_across_the_axes(domain):
    scatter = WithinDomainScatter(REFERENCES)
    inside, outside = scatter.split(QUERIES, domain)
    centered = QUERIES.double() - VECTORS[REFERENCES.rows(domain)].double().mean(dim=0)
    torch.testing.assert_close(inside.square().sum(dim=1) + outside.square(), centered.square().sum(dim=1))
    torch.testing.assert_close(inside, centered @ scatter.axes.T)
    own = scatter.split(VECTORS[REFERENCES.rows(domain)], domain)
    torch.testing.assert_close(own[0], scatter.coordinates[REFERENCES.rows(domain)])
    assert own[1].max() < 1e-10


def test_inverse_is_that_of_the_dense_covariance():
    expected = np.linalg.solve(dense_covariance(REFERENCES, 0.2), QUERIES[0].double().numpy())
    found = WithinDomainScatter(REFERENCES).inverse(QUERIES[0], 0.2)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize(("count", "width"), [(1, 4), (2, 4), (3, 1), (5, 3), (12, 40), (60, 7), (200, 30)])
def test_ledoit_wolf_shrinkage_is_that_of_scikit_learn(count, width):
    vectors = torch.randn(count + 2, width, generator=GENERATOR) * torch.linspace(0.2, 2, width)
    references = References(vectors, torch.arange(count + 2), torch.arange(count + 2) >= count)
    expected = ledoit_wolf_shrinkage(dense_residuals(references), assume_centered=True)
    assert WithinDomainScatter(references).ledoit_wolf() == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_references_of_a_domain_have_no_ledoit_wolf_shrinkage(count):
    references = References(VECTORS[:count], torch.arange(count), IS_TARGET_DOMAIN[:count])
    assert WithinDomainScatter(references).ledoit_wolf() == 0


def test_when_references_are_their_means_then_the_covariance_is_the_identity():
    equal = References(
        torch.tensor([[0.1, 0.7]] * 3 + [[0.3, 5.0]]), torch.arange(4), torch.tensor([False, False, False, True])
    )
    scatter = WithinDomainScatter(equal)
    assert scatter.axes.shape == (0, 2) and scatter.trace == 0
    inside, outside = scatter.split(torch.tensor([[3.3, 9.0]]), "target")
    assert inside.shape == (1, 0) and float(outside) == pytest.approx(5, rel=1e-6)
    assert scatter.eigenvalues(0.5)[1] == 1
    assert scatter.inverse(torch.tensor([2.0, 3.0]), 0.5).tolist() == [2.0, 3.0]
