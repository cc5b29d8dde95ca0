"""Nearest-neighbor distances against plain loops over float64 differences."""

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from modeling_retainmix.detection import nearest_search as knn
from modeling_retainmix.detection.nearest_search import distance_blocks, knn_distance, nearest_neighbors


def naive_distances(queries: torch.Tensor, bank: torch.Tensor, metric: str) -> np.ndarray:
    queries, bank = queries.double().numpy(), bank.double().numpy()
    if metric == "cosine":
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(bank, axis=1)
        return 1 - queries @ bank.T / lengths
    return np.stack([[np.sqrt(((q - b) ** 2).sum()) for b in bank] for q in queries])


def random_vectors(n: int, m: int, width: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(n, width, generator=generator), torch.randn(m, width, generator=generator)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("k", [1, 3, 11])
def test_distance_is_the_mean_of_the_k_smallest(metric, k):
    queries, bank = random_vectors(5, 11)
    expected = np.sort(naive_distances(queries, bank, metric), axis=1)[:, :k].mean(axis=1)
    np.testing.assert_allclose(knn_distance(queries, bank, k, metric).numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_when_vectors_are_identical_then_distance_is_exactly_zero(metric):
    _, bank = random_vectors(1, 40, width=6144)
    assert (knn_distance(1000 * bank, 1000 * bank, metric=metric) == 0).all()


def test_when_a_neighbor_is_close_far_from_the_origin_then_its_distance_is_not_lost():
    queries = torch.full((1, 100), 1000.0)
    bank = queries.clone()
    bank[0, 0] += 0.0625
    assert knn_distance(queries, bank).item() == 0.0625


@pytest.mark.parametrize(("n", "m", "width"), [(90, 4, 3), (4, 90, 3), (4, 3, 90)])
def test_neither_a_block_nor_its_queries_exceed_the_bound(monkeypatch, n, m, width):
    monkeypatch.setattr(knn, "_CHUNK_ELEMENTS", 200)
    rows = []
    for part, block in distance_blocks(*random_vectors(n, m, width)):
        rows += range(n)[part]
        assert block.numel() <= 200 and block.shape[0] * width <= 200
    assert rows == list(range(n))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_search_is_on_the_device_of_the_bank_and_result_on_that_of_the_queries(device, metric):
    with FakeTensorMode():  # knows devices that are not there, computes nothing, and refuses to mix devices
        queries, bank = torch.empty(5, 24, device=device), torch.empty(11, 24, device="cuda")
        assert {block.device.type for _, block in distance_blocks(queries, bank, metric)} == {"cuda"}
        assert {tensor.device.type for tensor in nearest_neighbors(queries, bank, 2, metric)} == {device}


@pytest.mark.parametrize("elements", [1, 10, 17])
def test_when_search_is_chunked_then_result_does_not_change(monkeypatch, elements):
    queries, bank = random_vectors(5, 11)
    distances, rows = nearest_neighbors(queries, bank, 4)
    monkeypatch.setattr(knn, "_CHUNK_ELEMENTS", elements)
    chunked_distances, chunked_rows = nearest_neighbors(queries, bank, 4)
    torch.testing.assert_close(chunked_distances, distances, rtol=0, atol=0)
    torch.testing.assert_close(chunked_rows, rows)


def test_neighbors_are_ascending_and_their_rows_give_their_distances():
    queries, bank = random_vectors(5, 11)
    distances, rows = nearest_neighbors(queries, bank, 4)
    assert (distances.diff(dim=1) >= 0).all()
    torch.testing.assert_close((queries[:, None] - bank[rows]).norm(dim=2), distances)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 12}, "k=12 .*bank of 11"),
        ({"k": 0}, "k=0"),
        ({"metric": "manhattan"}, "metric='manhattan' is not a valid metric"),
        ({"bank": torch.zeros(0, 24)}, "bank of 0"),
        ({"bank": torch.zeros(11, 23)}, r"\[5, 24\].*\[11, 23\]"),
    ],
)
def test_when_arguments_are_wrong_then_error_names_the_value(arguments, message):
    queries, bank = random_vectors(5, 11)
    with pytest.raises(ValueError, match=message):
        knn_distance(**{"queries": queries, "bank": bank, **arguments})
