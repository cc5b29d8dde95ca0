"""Sub-band matching against a loop over clips and bands."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.subband import SubbandBackend
from modeling_retainmix.detection.vector_layout import VectorLayout

THREE_BANDS = VectorLayout(num_bands=3)

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(9, 12, generator=GENERATOR)
QUERIES = torch.randn(4, 12, generator=GENERATOR)
RECORDING_INDEX = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 6])
IS_TARGET_DOMAIN = RECORDING_INDEX >= 4
REFERENCES = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN, layout=THREE_BANDS)
DOMAINS = ("source", "target")


def naive_distance(vectors: torch.Tensor, query: torch.Tensor, k: int) -> float:
    total = 0.0
    for start in range(0, 12, 4):
        band = query[start : start + 4].double()
        references = vectors[:, start : start + 4].double()
        cosines = [float(band @ r / (band.norm() * r.norm())) for r in references]
        total += sum(sorted(1 - cosine for cosine in cosines)[:k]) / k
    return total / 3


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("domain", DOMAINS)
def test_distance_is_the_mean_over_bands_of_each_bands_nearest(domain, k):
    distance = SubbandBackend(REFERENCES, domain, k).distance(QUERIES)
    expected = [naive_distance(VECTORS[REFERENCES.rows(domain)], query, k) for query in QUERIES]
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("domain", DOMAINS)
def test_leaving_out_equals_a_backend_without_the_recording(domain):
    left_out = SubbandBackend(REFERENCES, domain).reference_distances()
    for row in range(9):
        others = RECORDING_INDEX[row] != RECORDING_INDEX
        rest = References(VECTORS[others], RECORDING_INDEX[others], IS_TARGET_DOMAIN[others], layout=THREE_BANDS)
        expected = SubbandBackend(rest, domain).distance(VECTORS[row : row + 1])
        np.testing.assert_allclose(left_out[row].numpy(), expected[0].numpy(), rtol=1e-5)


def test_when_each_band_is_that_of_some_reference_then_the_distance_is_zero():
    query = torch.cat([VECTORS[0, :4], 3 * VECTORS[2, 4:8], VECTORS[3, 8:]])
    assert float(SubbandBackend(REFERENCES, "source").distance(query[None])) == pytest.approx(0, abs=1e-6)


def test_when_there_are_fewer_references_than_k_then_one_warning_says_so():
    one = References(VECTORS[:1], RECORDING_INDEX[:1], IS_TARGET_DOMAIN[:1], layout=THREE_BANDS)
    with pytest.warns(UserWarning, match="source domain has too few references for k=2: it uses 1") as caught:
        backend = SubbandBackend(one, "source", 2)
    assert len(caught) == 1
    assert torch.equal(backend.distance(QUERIES), SubbandBackend(one, "source").distance(QUERIES))
    assert SubbandBackend.needed_recordings({"k": 2}) == 2


def test_when_the_width_does_not_divide_into_bands_then_error_names_both():
    with pytest.raises(ValueError, match="vectors of 12 features do not divide into 5 bands"):
        SubbandBackend(
            References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN, layout=VectorLayout(num_bands=5)), "source"
        )
