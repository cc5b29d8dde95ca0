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


def test_when_no_distance_of_a_member_varies_then_the_first_one_counts_as_it_is():
    pairs = torch.eye(4).repeat_interleave(2, dim=0)
    equal = References(pairs, torch.arange(8), torch.zeros(8, dtype=torch.bool))  # each has a copy, at distance 0
    queries = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    knn, cosine = KnnBackend(equal, "source"), KnnBackend(equal, "source", metric="cosine")
    with pytest.warns(UserWarning, match=r"source domain has too few different references to standardize .* \(8\)"):
        fused = SmallestStandardized([knn, cosine])
    assert torch.equal(fused.distance(queries), knn.distance(queries))
    assert fused.lower_bound == 0


def test_when_the_distances_of_one_member_do_not_vary_then_the_others_decide():
    pairs = torch.cat([torch.eye(4), torch.eye(4) + 0.1 * torch.arange(1, 5)[:, None]])
    references = References(pairs, torch.arange(8), torch.zeros(8, dtype=torch.bool))
    same_direction = References(pairs[:4].repeat(2, 1), torch.arange(8), torch.zeros(8, dtype=torch.bool))
    varying, constant = KnnBackend(references, "source"), KnnBackend(same_direction, "source")
    queries = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    expected = SmallestStandardized([varying]).distance(queries)
    assert torch.equal(SmallestStandardized([constant, varying]).distance(queries), expected)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fusion_of_few_references_gives_finite_distances(count):
    few = References(VECTORS[:count], torch.arange(count), torch.zeros(count, dtype=torch.bool))
    with pytest.warns(UserWarning, match="source domain"):
        assert FusionBackend(few, "source").distance(QUERIES).isfinite().all()
