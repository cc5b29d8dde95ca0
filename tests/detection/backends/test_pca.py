"""PCA residuals against eigenvectors of the covariance, and against subspaces fitted without the left-out clips."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.pca import SubspaceBank

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(19, 8, generator=GENERATOR) * torch.linspace(0.1, 3, 8)
QUERIES = torch.randn(5, 8, generator=GENERATOR)
IS_TARGET = torch.arange(19) >= 13  # the target domain has fewer vectors than dimensions
RECORDING = torch.arange(19) // torch.where(IS_TARGET, 1, 2) + torch.where(IS_TARGET, 50, 0)


def naive_residual(vectors: torch.Tensor, query: torch.Tensor, variance: float) -> float:
    vectors, query = vectors.double().numpy(), query.double().numpy()
    mean = vectors.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(vectors.T, bias=True))
    values, axes = values[::-1], axes[:, ::-1]
    count = next(c for c in range(1, 9) if values[:c].sum() >= variance * values.sum())
    rest = query - mean
    for axis in axes.T[:count]:
        rest = rest - (rest @ axis) * axis
    return float(np.linalg.norm(rest))


@pytest.mark.parametrize("variance", [0.3, 0.7, 0.95])
def test_distances_are_what_the_principal_axes_do_not_hold(variance):
    distances = SubspaceBank(VECTORS, RECORDING, IS_TARGET, variance).distances(QUERIES)
    expected = [[naive_residual(VECTORS[rows], q, variance) for rows in (~IS_TARGET, IS_TARGET)] for q in QUERIES]
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("variance", [0.3, 0.95])
def test_leaving_out_equals_subspaces_fitted_without_the_recording(variance):
    left_out = SubspaceBank(VECTORS, RECORDING, IS_TARGET, variance).leave_one_out()
    for row in range(19):
        others = RECORDING[row] != RECORDING
        without = SubspaceBank(VECTORS[others], RECORDING[others], IS_TARGET[others], variance)
        expected = without.distances(VECTORS[row : row + 1])[0]
        np.testing.assert_allclose(left_out[row].numpy(), expected.numpy(), rtol=1e-4)


def test_when_there_are_many_recordings_then_they_are_left_out_in_twenty_parts():
    vectors = torch.randn(45, 6, generator=GENERATOR)
    nothing = torch.zeros(45, dtype=torch.bool)
    left_out = SubspaceBank(vectors, torch.arange(45), nothing).leave_one_out()[:, 0]
    for row in (0, 19, 44):
        others = torch.arange(45) % 20 != row % 20
        without = SubspaceBank(vectors[others], torch.arange(45)[others], nothing[others])
        assert float(left_out[row]) == pytest.approx(float(without.distances(vectors[row : row + 1])), rel=1e-4)


def test_when_references_are_equal_then_the_distance_to_them_counts():
    bank = SubspaceBank(torch.ones(3, 4), torch.arange(3), torch.zeros(3, dtype=torch.bool))
    assert bank.distances(torch.zeros(1, 4)).tolist() == [[2.0]]


def test_when_a_recording_cannot_be_left_out_or_there_is_none_then_error_says_so():
    with pytest.raises(ValueError, match="source domain has one recording, which cannot be left out"):
        SubspaceBank(VECTORS[:2], RECORDING[:2], IS_TARGET[:2]).leave_one_out()
    with pytest.raises(ValueError, match="the machine has no references"):
        SubspaceBank(VECTORS[:0], RECORDING[:0], IS_TARGET[:0])
