"""Fusion: every bank is standardised by its own leave-one-out distances, and the smallest counts."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.fusion import FusionBank
from modeling_retainmix.detection.backends.knn import MemoryBank
from modeling_retainmix.detection.backends.mahalanobis import GaussianBank

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(14, 5, generator=GENERATOR)
QUERIES = 2 * torch.randn(6, 5, generator=GENERATOR)
IS_TARGET = torch.arange(14) >= 9
REFERENCES = VECTORS, torch.arange(14), IS_TARGET
BANKS = MemoryBank(*REFERENCES, metric="cosine"), GaussianBank(*REFERENCES)


def naive_fusion(distances: list[np.ndarray]) -> np.ndarray:
    fused = np.full((len(distances[0]), 2), np.inf)
    for bank, of_bank in zip(BANKS, distances, strict=True):
        for domain, rows in enumerate((~IS_TARGET.numpy(), IS_TARGET.numpy())):
            own = bank.leave_one_out().numpy().astype(np.float64)[rows, domain]
            fused[:, domain] = np.minimum(fused[:, domain], (of_bank[:, domain] - own.mean()) / own.std())
    return fused


def test_distance_is_the_smallest_of_the_standardised_ones():
    expected = naive_fusion([bank.distances(QUERIES).numpy() for bank in BANKS])
    np.testing.assert_allclose(FusionBank(BANKS).distances(QUERIES).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_references_are_fused_from_what_they_are_when_left_out():
    expected = naive_fusion([bank.leave_one_out().numpy() for bank in BANKS])
    np.testing.assert_allclose(FusionBank(BANKS).leave_one_out().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_no_distance_falls_below_the_lowest_which_is_that_of_zero_in_every_bank():
    bank = FusionBank(BANKS)
    np.testing.assert_allclose(bank.lowest.numpy(), naive_fusion([np.zeros((1, 2))] * 2), rtol=1e-4)
    assert (bank.lowest <= bank.distances(torch.cat([VECTORS, QUERIES]))).all()


def test_when_the_distances_of_a_bank_do_not_vary_then_error_names_the_domain():
    pairs = torch.eye(4).repeat_interleave(2, dim=0)
    equal = pairs, torch.arange(8), torch.zeros(8, dtype=torch.bool)  # each has a copy: all are at distance 0
    with pytest.raises(ValueError, match="distances to the source bank do not vary"):
        FusionBank([MemoryBank(*equal)])
