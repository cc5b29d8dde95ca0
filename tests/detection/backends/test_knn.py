"""Distances to the banks against the published ones; leaving one recording out against backends fitted without it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modeling_retainmix.detection import nearest_search
from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.knn import KnnBackend

ARRAYS = np.load(Path(__file__).parents[2] / "golden" / "genrep" / "scoring.npz")
VECTORS = torch.cat([torch.from_numpy(ARRAYS["source"]), torch.from_numpy(ARRAYS["target"])])
IS_TARGET_DOMAIN = torch.arange(50) >= 40
RECORDING_INDEX = torch.arange(50)
REFERENCES = References(VECTORS, RECORDING_INDEX, IS_TARGET_DOMAIN)
DOMAINS = ("source", "target")


def rows_of(rows, recording_index=RECORDING_INDEX):
    return References(VECTORS[rows], recording_index[rows], IS_TARGET_DOMAIN[rows])


@pytest.mark.parametrize(
    ("case", "k", "neighbors", "alpha"),
    [
        ("k1_plain", 1, None, 0.9),
        ("k3_plain", 3, None, 0.9),
        ("k1_mix5_a090", 1, 5, 0.9),
        ("k3_mix5_a090", 3, 5, 0.9),
        ("k1_mixall_a090", 1, 40, 0.9),
        ("k1_mix1_a050", 1, 1, 0.5),
    ],
)
def test_distances_are_the_published_ones(case, k, neighbors, alpha):
    queries, columns = torch.from_numpy(ARRAYS["test"]), []
    for domain in DOMAINS:
        backend = KnnBackend(REFERENCES, domain, k, memmixup_neighbors=neighbors, memmixup_alpha=alpha)
        columns.append(backend.distance(queries).numpy())
        np.testing.assert_allclose(columns[-1], ARRAYS[f"{case}/knn_{domain}"], rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(np.min(columns, axis=0), ARRAYS[f"{case}/score_raw"], rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_leaving_out_equals_a_backend_without_the_recording(k, metric):
    index = RECORDING_INDEX // 2  # two vectors of each recording
    for domain in DOMAINS:
        distances = KnnBackend(rows_of(slice(None), index), domain, k, metric).reference_distances()
        for row in (0, 7, 41):
            backend = KnnBackend(rows_of(index != index[row], index), domain, k, metric)
            torch.testing.assert_close(distances[row : row + 1], backend.distance(VECTORS[row : row + 1]))


def test_leaving_out_also_removes_what_was_mixed_from_the_recording():
    whole = KnnBackend(REFERENCES, "target", memmixup_neighbors=40)  # every target with every source
    distances = whole.reference_distances()
    for row in (3, 44):
        backend = KnnBackend(rows_of(row != RECORDING_INDEX), "target", memmixup_neighbors=40)
        torch.testing.assert_close(distances[row : row + 1], backend.distance(VECTORS[row : row + 1]))
    assert torch.equal(whole.leave_one_out(), distances[40:])
    # what is removed matters: with alpha near 1 a target's mixtures are its near copies
    kept = KnnBackend(REFERENCES, "target", memmixup_neighbors=40, memmixup_alpha=0.999)
    assert kept.distance(VECTORS[44:45]) == 0
    assert kept.leave_one_out()[4] > 1


def test_when_leaving_out_is_chunked_then_result_does_not_change(monkeypatch):
    backend = KnnBackend(REFERENCES, "target", 2, memmixup_neighbors=5)
    whole = backend.reference_distances()
    monkeypatch.setattr(nearest_search, "_CHUNK_ELEMENTS", 130)
    torch.testing.assert_close(backend.reference_distances(), whole, rtol=0, atol=0)


def test_when_one_domain_has_references_then_nothing_is_mixed():
    target = KnnBackend(rows_of(slice(40, 50)), "target", memmixup_neighbors=5)
    assert torch.equal(target.bank, VECTORS[40:])


def test_nearest_reference_of_a_mixed_vector_is_its_target():
    backend = KnnBackend(REFERENCES, "target", memmixup_neighbors=3)
    mixed = backend.bank[10 + 3 * 4 + 1]  # second neighbor of the fifth target reference
    contrast = backend.contrast(mixed + 0.25)
    torch.testing.assert_close(contrast.origin, mixed.double(), rtol=0, atol=0)
    torch.testing.assert_close(contrast.direction, torch.full_like(contrast.origin, 0.25), rtol=0, atol=1e-6)
    assert contrast.row == 44


@pytest.mark.parametrize(
    ("k", "metric", "has"), [(1, "euclidean", True), (2, "euclidean", False), (1, "cosine", False)]
)
def test_contrast_is_of_one_euclidean_neighbor(k, metric, has):
    assert KnnBackend(REFERENCES, "source", k, metric).has_contrast == has


def test_when_a_domain_has_fewer_references_than_k_then_all_count():
    with pytest.warns(UserWarning, match="target domain has too few references for k=11: it uses 10"):
        backend = KnnBackend(REFERENCES, "target", k=11)
    assert torch.equal(backend.distance(VECTORS), KnnBackend(REFERENCES, "target", k=10).distance(VECTORS))


def test_when_fewer_than_k_remain_without_a_recording_then_all_that_remain_count():
    ten, nine = (KnnBackend(REFERENCES, "target", k=k).leave_one_out() for k in (10, 9))
    torch.testing.assert_close(ten, nine, rtol=0, atol=0)


def test_when_there_is_no_other_recording_then_the_left_out_distance_is_infinite():
    one = References(VECTORS[:2], torch.zeros(2, dtype=torch.int64), IS_TARGET_DOMAIN[:2])
    assert KnnBackend(one, "source").leave_one_out().tolist() == [torch.inf] * 2
    assert KnnBackend(one, "source").distance(VECTORS[:2]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("k", [1, 4])
def test_a_model_of_one_domain_needs_k_recordings(k):
    assert KnnBackend.needed_recordings({"k": k}) == k
