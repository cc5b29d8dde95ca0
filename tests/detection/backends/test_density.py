"""Local density normalisation against a loop, with copies among the references."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.density import DensityBank

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(16, 3, generator=GENERATOR)
VECTORS[2:5] = VECTORS[2]  # three copies
QUERIES = torch.randn(5, 3, generator=GENERATOR)
RECORDING = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 11, 12])
IS_TARGET = RECORDING >= 7


def naive_distance(vectors, recording, query, k, neighbours):
    spacings = []
    for vector, own in zip(vectors, recording, strict=True):
        others = vectors[recording != own]
        spacings.append(sum(sorted(float((vector - other).norm()) for other in others)[:neighbours]) / neighbours)
    least = 0.1 * sum(spacings) / len(spacings)
    scaled = [float((query - v).norm()) / max(s, least) for v, s in zip(vectors, spacings, strict=True)]
    return sum(sorted(scaled)[:k]) / k


@pytest.mark.parametrize(("k", "neighbours"), [(1, 4), (2, 2), (1, 1)])
def test_distances_are_divided_by_the_spacing_of_the_reference(k, neighbours):
    distances = DensityBank(VECTORS, RECORDING, IS_TARGET, k, num_neighbours=neighbours).distances(QUERIES)
    expected = [
        [naive_distance(VECTORS[rows], RECORDING[rows], q, k, neighbours) for rows in (~IS_TARGET, IS_TARGET)]
        for q in QUERIES
    ]
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(("k", "neighbours", "metric"), [(1, 3, "euclidean"), (2, 1, "cosine")])
def test_leaving_out_equals_a_bank_without_the_recording(k, neighbours, metric):
    left_out = DensityBank(VECTORS, RECORDING, IS_TARGET, k, metric, neighbours).leave_one_out()
    for row in range(16):
        rest = RECORDING[row] != RECORDING
        without = DensityBank(VECTORS[rest], RECORDING[rest], IS_TARGET[rest], k, metric, neighbours)
        expected = without.distances(VECTORS[row : row + 1])[0]
        np.testing.assert_allclose(left_out[row].numpy(), expected.numpy(), rtol=1e-5)


def test_when_references_are_copies_then_distances_stay_finite():
    bank = DensityBank(VECTORS, RECORDING, IS_TARGET, num_neighbours=1)  # the copies' spacing is 0
    assert bank.distances(torch.cat([VECTORS, QUERIES])).isfinite().all()
    assert float(bank.distances(VECTORS[2:3])[0, 0]) == 0
    with pytest.raises(ValueError, match="references of the source domain are all equal"):
        DensityBank(torch.ones(6, 3), torch.arange(6), torch.zeros(6, dtype=torch.bool))


def test_when_a_domain_has_too_few_references_then_error_names_it():
    rows = slice(0, 13)  # four in the target domain, of four recordings
    bank = DensityBank(VECTORS[rows], RECORDING[rows], IS_TARGET[rows], num_neighbours=3)
    with pytest.raises(ValueError, match=r"target domain has too few references .*for k=1 and num_neighbours=3"):
        bank.leave_one_out()
    with pytest.raises(ValueError, match=r"target domain has too few references .*for k=1 and num_neighbours=4"):
        DensityBank(VECTORS[rows], RECORDING[rows], IS_TARGET[rows], num_neighbours=4)
    with pytest.raises(ValueError, match=r"too few references .*for k=5 and num_neighbours=1"):
        DensityBank(VECTORS[rows], RECORDING[rows], IS_TARGET[rows], k=5, num_neighbours=1)


def test_when_there_are_no_references_then_error_says_so():
    with pytest.raises(ValueError, match="the machine has no references"):
        DensityBank(VECTORS[:0], RECORDING[:0], IS_TARGET[:0])
