"""Whitened distances against dense inverse covariances, from one reference up, and their memory."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from modeling_retainmix.detection.backends import within_domain
from modeling_retainmix.detection.backends.base import References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.whitened import WhitenedBackend

DOMAINS = ("source", "target")


def drawn(num_source: int, num_target: int, width: int) -> tuple[References, torch.Tensor]:
    """References whose features are correlated and of different variances, and four queries."""
    generator = torch.Generator().manual_seed(width + num_source)
    count = num_source + num_target
    mixing = torch.randn(12, width, generator=generator)
    vectors = torch.randn(count + 4, 12, generator=generator) @ mixing
    vectors += torch.randn(count + 4, width, generator=generator) * torch.linspace(0.1, 2, width) + 5
    vectors[num_source:count] += 4
    return References(vectors[:count], torch.arange(count), torch.arange(count) >= num_source), vectors[count:]


def dense_inverse(references: References) -> tuple[np.ndarray, float]:
    """Inverse of Sigma as its definition says, and rho."""
    residuals = references.vectors.double().numpy().copy()
    for domain in references.domains:
        rows = references.rows(domain).numpy()
        residuals[rows] -= residuals[rows].mean(axis=0)
    count, width = residuals.shape
    rho = max(
        float(ledoit_wolf_shrinkage(residuals, assume_centered=True)) if residuals.any() else 0.0,
        1 / (1 + count - len(references.domains)),
    )
    covariance = residuals.T @ residuals / count
    mean = np.trace(covariance) / width
    if mean == 0:
        return np.eye(width), rho
    return np.linalg.inv((1 - rho) * covariance + rho * mean * np.eye(width)), rho


def dense_distances(inverse: np.ndarray, queries: torch.Tensor, bank: torch.Tensor) -> np.ndarray:
    root = np.linalg.cholesky(inverse)
    queries, bank = queries.double().numpy() @ root, bank.double().numpy() @ root
    return np.stack([np.linalg.norm(query - bank, axis=1) for query in queries])


@pytest.mark.parametrize("width", [8, 128, 1536])
@pytest.mark.parametrize(("num_source", "num_target"), [(1, 0), (2, 0), (2, 1), (5, 1), (100, 10)])
def test_distances_are_those_of_the_dense_inverse_covariance(num_source, num_target, width):
    references, queries = drawn(num_source, num_target, width)
    inverse, rho = dense_inverse(references)
    for domain in references.domains:
        backend = WhitenedBackend(references, domain, left_out_covariance="held")
        assert backend.shrinkage == pytest.approx(rho, rel=1e-9)
        bank = references.vectors[references.rows(domain)]
        expected = dense_distances(inverse, queries, bank).min(axis=1)
        np.testing.assert_allclose(backend.distance(queries).numpy(), expected, rtol=1e-5)
        left_out = dense_distances(inverse, bank, bank)
        np.fill_diagonal(left_out, np.inf)
        np.testing.assert_allclose(backend.leave_one_out().numpy(), left_out.min(axis=1), rtol=1e-5)


def test_distances_of_other_domains_references_are_whitened_too():
    references, _ = drawn(6, 4, 40)
    inverse, _ = dense_inverse(references)
    backend = WhitenedBackend(references, "target", left_out_covariance="held")
    expected = dense_distances(inverse, references.vectors[:6], references.vectors[6:]).min(axis=1)
    np.testing.assert_allclose(backend.reference_distances()[:6].numpy(), expected, rtol=1e-5)
    assert torch.equal(backend.reference_distances()[6:], backend.leave_one_out())


def test_several_neighbors_are_averaged_and_windows_of_a_recording_are_left_out_together():
    references, queries = drawn(7, 0, 30)
    windows = References(references.vectors, torch.tensor([0, 0, 1, 2, 2, 3, 4]), references.is_target_domain)
    inverse, _ = dense_inverse(references)
    backend = WhitenedBackend(windows, "source", k=2, left_out_covariance="held")
    expected = np.sort(dense_distances(inverse, queries, windows.vectors), axis=1)[:, :2].mean(axis=1)
    np.testing.assert_allclose(backend.distance(queries).numpy(), expected, rtol=1e-5)
    among = dense_distances(inverse, windows.vectors, windows.vectors)
    among[windows.recording_index[:, None] == windows.recording_index] = np.inf
    np.testing.assert_allclose(backend.leave_one_out().numpy(), np.sort(among, axis=1)[:, :2].mean(axis=1), rtol=1e-5)
    assert not backend.has_contrast


@pytest.mark.parametrize("width", [3, 40])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize(
    "index", [[0, 1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 1, 2, 2, 2, 3, 4, 4], [0, 1, 2, 3, 4, 5, 6, 6, 6]]
)
def test_refitted_distances_are_those_of_a_backend_without_the_recording(width, k, index):
    drawn_references, _ = drawn(6, 3, width)
    index = torch.tensor(index)
    references = References(drawn_references.vectors, index, drawn_references.is_target_domain)
    for domain in DOMAINS:
        backend = WhitenedBackend(references, domain, k, left_out_covariance="refit")
        found = backend.reference_distances()
        assert torch.equal(backend.leave_one_out(), found[references.rows(domain)])
        for row in range(9):
            others = index != index[row]
            rest = References(references.vectors[others], index[others], references.is_target_domain[others])
            if domain not in rest.domains:
                assert found[row] == torch.inf
                continue
            bank = rest.vectors[rest.rows(domain)]
            expected = dense_distances(dense_inverse(rest)[0], references.vectors[row : row + 1], bank)[0]
            assert float(found[row]) == pytest.approx(np.sort(expected)[:k].mean(), rel=1e-4)


def test_when_nothing_varies_without_a_recording_then_the_covariance_is_held():
    references, _ = drawn(2, 1, 20)
    held, refit = (WhitenedBackend(references, "source", left_out_covariance=how) for how in ("held", "refit"))
    torch.testing.assert_close(refit.leave_one_out(), held.leave_one_out())


def test_a_refitted_covariance_keeps_the_rate_of_false_alarms_that_a_held_one_loses():
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(1, 0.1, 128)
    shares = {"held": [], "refit": []}
    for _ in range(10):
        vectors = torch.randn(20 + 200, 128, generator=generator) * scale
        references = References(vectors[:20], torch.arange(20), torch.zeros(20, dtype=torch.bool))
        for how, rates in shares.items():
            backend = WhitenedBackend(references, "source", left_out_covariance=how)
            threshold = backend.leave_one_out().sort().values[18]  # of rank 19 = ceil(21 * 0.9): 10 % above it
            rates.append(float((backend.distance(vectors[20:]) > threshold).float().mean()))
    assert 0.05 < np.mean(shares["refit"]) < 0.15
    assert np.mean(shares["held"]) > 0.9


@pytest.mark.parametrize(("num_source", "num_target"), [(1, 0), (1, 1)])
def test_when_no_domain_varies_then_distances_are_those_of_knn(num_source, num_target):
    references, queries = drawn(num_source, num_target, 50)
    for domain in references.domains:
        expected = KnnBackend(references, domain).distance(queries)
        torch.testing.assert_close(WhitenedBackend(references, domain).distance(queries), expected)


def test_a_copy_of_a_reference_has_distance_zero():
    references, _ = drawn(20, 5, 300)
    distance = WhitenedBackend(references, "source").distance(references.vectors[:20])
    np.testing.assert_allclose(distance.numpy(), np.zeros(20), atol=1e-4)


def test_the_scale_and_offset_of_the_vectors_do_not_matter():
    references, queries = drawn(9, 3, 60)
    moved = References(7 * references.vectors - 2, references.recording_index, references.is_target_domain)
    found = WhitenedBackend(moved, "target").distance(7 * queries - 2)
    torch.testing.assert_close(found, WhitenedBackend(references, "target").distance(queries), rtol=1e-4, atol=0)


@pytest.mark.parametrize(("num_source", "num_target"), [(1, 0), (2, 1), (12, 4)])
def test_contrast_gives_the_squared_distance_and_the_nearest_recording(num_source, num_target):
    references, queries = drawn(num_source, num_target, 32)
    inverse, _ = dense_inverse(references)
    for domain in references.domains:
        backend, rows = WhitenedBackend(references, domain), references.rows(domain)
        assert backend.has_contrast
        for query, distance in zip(queries, backend.distance(queries), strict=True):
            origin, direction, row = backend.contrast(query)
            torch.testing.assert_close(
                (query.double() - origin) @ direction, distance.double() ** 2, rtol=1e-5, atol=0
            )
            nearest = dense_distances(inverse, query[None], references.vectors[rows]).argmin()
            assert row == rows.nonzero()[nearest]
            assert torch.equal(origin, references.vectors[row].double())


def test_the_covariance_is_computed_once_for_both_domains():
    references, _ = drawn(6, 4, 16)
    source, target = (WhitenedBackend(references, domain) for domain in DOMAINS)
    assert source.scatter is target.scatter


def test_when_queries_are_projected_in_parts_then_distances_do_not_change(monkeypatch):
    references, queries = drawn(12, 4, 64)
    backend = WhitenedBackend(references, "source")
    whole = backend.distance(queries)
    monkeypatch.setattr(within_domain, "_CHUNK_ELEMENTS", 64)
    torch.testing.assert_close(backend.distance(queries), whole, rtol=1e-6, atol=0)


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor that an operation returns."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


def test_memory_grows_with_references_times_features_not_with_features_squared():
    generator = torch.Generator().manual_seed(0)
    references = References(torch.randn(10, 20_000, generator=generator), torch.arange(10), torch.arange(10) >= 7)
    with LargestTensor() as largest:
        for domain in DOMAINS:
            backend = WhitenedBackend(references, domain)
            backend.distance(references.vectors)
            backend.reference_distances()
            backend.contrast(references.vectors[0])
    assert 10 * 20_000 <= largest.elements <= 2 * 10 * 20_000
