"""Fusion: every member is standardized by its leave-one-out distances, and the smallest counts."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.fusion import FusionBackend, SmallestStandardized
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.pca import PcaBackend

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(14, 5, generator=GENERATOR)
QUERIES = 2 * torch.randn(6, 5, generator=GENERATOR)
REFERENCES = References(VECTORS, torch.arange(14), torch.arange(14) >= 8)


def members(domain):
    return [KnnBackend(REFERENCES, domain, metric="cosine"), MahalanobisBackend(REFERENCES, domain)]


def naive_fusion(backends, distances):
    standardized = []
    for backend, distance in zip(backends, distances, strict=True):
        left_out = backend.leave_one_out().numpy().astype(np.float64)
        standardized.append((np.asarray(distance) - left_out.mean()) / left_out.std())
    return np.min(standardized, axis=0)


@pytest.mark.parametrize("domain", ["source", "target"])
def test_distance_is_the_smallest_of_the_standardized_ones(domain):
    backends = members(domain)
    fused = SmallestStandardized(backends)
    expected = naive_fusion(backends, [backend.distance(QUERIES) for backend in backends])
    np.testing.assert_allclose(fused.distance(QUERIES).numpy(), expected, rtol=1e-4, atol=1e-5)
    expected = naive_fusion(backends, [backend.reference_distances() for backend in backends])
    np.testing.assert_allclose(fused.reference_distances().numpy(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(fused.leave_one_out(), fused.reference_distances()[REFERENCES.rows(domain)])


@pytest.mark.parametrize("domain", ["source", "target"])
def test_fusion_takes_four_backends(domain):
    backends = [
        *members(domain),
        DensityBackend(REFERENCES, domain, metric="cosine", density_neighbors=2),
        PcaBackend(REFERENCES, domain),
    ]
    expected = naive_fusion(backends, [backend.distance(QUERIES) for backend in backends])
    found = FusionBackend(REFERENCES, domain, density_neighbors=2).distance(QUERIES)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_no_distance_falls_below_the_lower_bound_which_is_that_of_zero_in_every_member():
    backends = members("source")
    fused = SmallestStandardized(backends)
    assert fused.lower_bound == pytest.approx(naive_fusion(backends, [0.0, 0.0]), rel=1e-4)
    assert (fused.lower_bound <= fused.distance(torch.cat([VECTORS, QUERIES]))).all()


def test_when_the_distances_of_a_member_do_not_vary_then_error_names_the_domain():
    pairs = torch.eye(4).repeat_interleave(2, dim=0)
    equal = References(pairs, torch.arange(8), torch.zeros(8, dtype=torch.bool))  # each has a copy, at distance 0
    with pytest.raises(ValueError, match="distances to the source bank do not vary"):
        SmallestStandardized([KnnBackend(equal, "source")])
