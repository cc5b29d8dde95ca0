"""Local density normalization against a loop, with copies among the references."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.density import DensityBackend
from modeling_retainmix.detection.backends.knn import KnnBackend

GENERATOR = torch.Generator().manual_seed(0)
VECTORS = torch.randn(16, 3, generator=GENERATOR)
VECTORS[2:5] = VECTORS[2]  # three copies
QUERIES = torch.randn(5, 3, generator=GENERATOR)
RECORDING_INDEX = torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10, 11, 11, 12])
IS_TARGET_DOMAIN = RECORDING_INDEX >= 7
REFERENCES = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN)
DOMAINS = ("source", "target")


def naive_distance(vectors, recording_index, query, k, neighbors):
    spacings = []
    for vector, own in zip(vectors, recording_index, strict=True):
        others = vectors[recording_index != own]
        spacings.append(sum(sorted(float((vector - other).norm()) for other in others)[:neighbors]) / neighbors)
    least = 0.1 * sum(spacings) / len(spacings)
    scaled = [float((query - v).norm()) / max(s, least) for v, s in zip(vectors, spacings, strict=True)]
    return sum(sorted(scaled)[:k]) / k


@pytest.mark.parametrize(("k", "neighbors"), [(1, 4), (2, 2), (1, 1)])
@pytest.mark.parametrize("domain", DOMAINS)
def test_distances_are_divided_by_the_spacing_of_the_reference(domain, k, neighbors):
    distance = DensityBackend(REFERENCES, domain, k, density_neighbors=neighbors).distance(QUERIES)
    rows = REFERENCES.rows(domain)
    expected = [naive_distance(VECTORS[rows], RECORDING_INDEX[rows], query, k, neighbors) for query in QUERIES]
    np.testing.assert_allclose(distance.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(("k", "neighbors", "metric"), [(1, 3, "euclidean"), (2, 1, "cosine")])
@pytest.mark.parametrize("domain", DOMAINS)
def test_leaving_out_equals_a_backend_without_the_recording(domain, k, neighbors, metric):
    left_out = DensityBackend(REFERENCES, domain, k, metric, neighbors).reference_distances()
    for row in range(16):
        rest = RECORDING_INDEX[row] != RECORDING_INDEX
        without = References(VECTORS[rest], RECORDING_INDEX[rest], IS_TARGET_DOMAIN[rest])
        expected = DensityBackend(without, domain, k, metric, neighbors).distance(VECTORS[row : row + 1])
        np.testing.assert_allclose(left_out[row].numpy(), expected[0].numpy(), rtol=1e-5)


def test_when_references_are_copies_then_distances_stay_finite():
    source = DensityBackend(REFERENCES, "source", density_neighbors=1)  # the copies' spacing is 0
    assert source.distance(torch.cat([VECTORS, QUERIES])).isfinite().all()
    assert float(source.distance(VECTORS[2:3])) == 0


@pytest.mark.parametrize("vectors", [torch.ones(6, 3), VECTORS[:1]])
def test_when_there_is_no_density_then_distances_are_those_of_knn(vectors):
    count = len(vectors)
    references = References(vectors, torch.arange(count), torch.zeros(count, dtype=torch.bool))
    with pytest.warns(UserWarning, match="source domain are of one recording or all equal, which leaves no density"):
        backend = DensityBackend(references, "source", density_neighbors=1)
    assert torch.equal(backend.distance(QUERIES), KnnBackend(references, "source").distance(QUERIES))
    assert backend.leave_one_out().tolist() == ([0.0] * 6 if count == 6 else [torch.inf])


def test_when_a_domain_has_too_few_references_then_it_uses_all_of_them():
    rows = slice(0, 13)  # four in the target domain, of four recordings
    references = References(VECTORS[rows], RECORDING_INDEX[rows], IS_TARGET_DOMAIN[rows])
    with pytest.warns(UserWarning, match="target domain has too few references for density_neighbors=4: it uses 3"):
        backend = DensityBackend(references, "target", density_neighbors=4)
    three = DensityBackend(references, "target", density_neighbors=3)
    assert torch.equal(backend.distance(QUERIES), three.distance(QUERIES))
    # without one of them, two neighbors remain
    others = RECORDING_INDEX[9] != RECORDING_INDEX[rows]
    rest = References(VECTORS[rows][others], RECORDING_INDEX[rows][others], IS_TARGET_DOMAIN[rows][others])
    expected = DensityBackend(rest, "target", density_neighbors=2).distance(VECTORS[9:10])
    torch.testing.assert_close(three.leave_one_out()[:1], expected)
    with pytest.warns(UserWarning, match="target domain has too few references for k=5: it uses 4"):
        DensityBackend(references, "target", k=5, density_neighbors=1)


def test_when_one_reference_remains_then_its_spacing_is_held():
    two = References(VECTORS[:2], torch.arange(2), torch.zeros(2, dtype=torch.bool))
    assert DensityBackend(two, "source", density_neighbors=1).leave_one_out().tolist() == pytest.approx([1.0, 1.0])
    assert DensityBackend.needed_recordings({"k": 1}) == 3
