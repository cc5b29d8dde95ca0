"""Sub-band matching against a loop over clips and bands."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.subband import BandBank

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(9, 12, generator=GENERATOR)
QUERIES = torch.randn(4, 12, generator=GENERATOR)
RECORDING = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 6])
IS_TARGET = RECORDING >= 4


def naive_distance(vectors: torch.Tensor, query: torch.Tensor, k: int) -> float:
    total = 0.0
    for start in range(0, 12, 4):
        band = query[start : start + 4].double()
        references = vectors[:, start : start + 4].double()
        cosines = [float(band @ r / (band.norm() * r.norm())) for r in references]
        total += sum(sorted(1 - cosine for cosine in cosines)[:k]) / k
    return total / 3


@pytest.mark.parametrize("k", [1, 2])
def test_distance_is_the_mean_over_bands_of_each_bands_nearest(k):
    distances = BandBank(VECTORS, RECORDING, IS_TARGET, 3, k).distances(QUERIES)
    expected = [[naive_distance(VECTORS[rows], q, k) for rows in (~IS_TARGET, IS_TARGET)] for q in QUERIES]
    np.testing.assert_allclose(distances.numpy(), expected, rtol=1e-4)


def test_leaving_out_equals_a_bank_without_the_recording():
    left_out = BandBank(VECTORS, RECORDING, IS_TARGET, 3).leave_one_out()
    for row in range(9):
        others = RECORDING[row] != RECORDING
        without = BandBank(VECTORS[others], RECORDING[others], IS_TARGET[others], 3)
        np.testing.assert_allclose(left_out[row].numpy(), without.distances(VECTORS[row : row + 1])[0].numpy())


def test_when_each_band_is_that_of_some_reference_then_the_distance_is_zero():
    query = torch.cat([VECTORS[0, :4], 3 * VECTORS[2, 4:8], VECTORS[3, 8:]])
    assert float(BandBank(VECTORS, RECORDING, IS_TARGET, 3).distances(query[None])[0, 0]) == pytest.approx(0, abs=1e-6)


def test_when_the_width_does_not_divide_into_bands_then_error_names_both():
    with pytest.raises(ValueError, match="vectors of 12 features do not divide into 5 bands"):
        BandBank(VECTORS, RECORDING, IS_TARGET, 5)
