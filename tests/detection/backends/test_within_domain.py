"""The covariance in the span of the references against dense matrices over features."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.within_domain import ReducedScatter, WithinDomainScatter

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


@pytest.mark.parametrize("width", [30, 6])  # more and fewer than references
@pytest.mark.parametrize("shrinkage", [0.01, 0.5, 1.0])
def test_eigenvalues_and_axes_are_those_of_the_dense_covariance(shrinkage, width):
    references = replace(REFERENCES, vectors=VECTORS[:, :width])
    scatter = WithinDomainScatter(references)
    along, across = scatter.eigenvalues(shrinkage)
    axes = scatter.axes
    outside = torch.eye(width, dtype=torch.float64) - axes.T @ axes
    found = (axes.T * along) @ axes + across * outside
    np.testing.assert_allclose(found.numpy(), dense_covariance(references, shrinkage), atol=1e-10)
    torch.testing.assert_close(scatter.coordinates @ axes, torch.from_numpy(dense_residuals(references)))
    torch.testing.assert_close(scatter.lengths, scatter.coordinates.square().sum(dim=1))


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


@pytest.mark.parametrize("width", [30, 6])
@pytest.mark.parametrize("recording", [0, 3, 7])  # of two windows, of one, and the whole target domain
def test_a_reduced_scatter_is_that_of_the_other_recordings(width, recording):
    index = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 8, 9, 7, 7, 7, 7])
    references = References(VECTORS[:, :width], index, IS_TARGET_DOMAIN)
    rows = index == recording
    rest = References(references.vectors[~rows], index[~rows], IS_TARGET_DOMAIN[~rows])
    domain = "target" if recording == 7 else "source"
    whole, expected = WithinDomainScatter(references), WithinDomainScatter(rest)
    reduced = ReducedScatter(whole, domain, rows)
    assert reduced.count == expected.count == 14 - int(rows.sum())
    assert reduced.trace == pytest.approx(expected.trace, rel=1e-9)
    assert reduced.whitening_shrinkage() == pytest.approx(expected.whitening_shrinkage(), rel=1e-9)
    if domain in rest.domains:
        moved = whole.means[domain] - reduced.shift @ whole.axes
        torch.testing.assert_close(moved, expected.means[domain])
    inside, outside = whole.split(QUERIES[:, :width], "source")
    squared = reduced.squared_distances(inside[0], torch.zeros_like(inside[:1]), outside[0], 0.3)
    difference = QUERIES[0, :width].double() - whole.means["source"]
    inverse = np.linalg.inv(dense_covariance(rest, 0.3))
    assert float(squared) == pytest.approx(difference.numpy() @ inverse @ difference.numpy(), rel=1e-9)


def test_when_nothing_varies_without_the_recording_then_the_whole_scatter_is_held():
    references = References(VECTORS[:2], torch.arange(2), IS_TARGET_DOMAIN[:2])
    whole = WithinDomainScatter(references)
    reduced = ReducedScatter(whole, "source", torch.tensor([True, False]))
    assert (reduced.count, reduced.trace) == (2, whole.trace)
    assert reduced.whitening_shrinkage() == whole.whitening_shrinkage() == 0.5
