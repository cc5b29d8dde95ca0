"""The map adds up to the squared distance, and points at what differs."""

import pytest
import torch

from modeling_retainmix.detection import pool_tokens
from modeling_retainmix.detection.backends.base import Contrast, References
from modeling_retainmix.detection.backends.knn import KnnBackend
from modeling_retainmix.detection.backends.mahalanobis import MahalanobisBackend
from modeling_retainmix.detection.backends.whitened import WhitenedBackend
from modeling_retainmix.detection.explanation import level_deviations, token_contributions
from modeling_retainmix.detection.vector_layout import VectorLayout


@pytest.mark.parametrize("backend_class", [KnnBackend, MahalanobisBackend, WhitenedBackend])
def test_contributions_add_up_to_the_squared_distance(backend_class):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(20 * 8, 6, generator=generator)
    vectors = torch.randn(5, 8 * 6, generator=generator)
    references = References(vectors, torch.arange(5), torch.zeros(5, dtype=torch.bool))
    backend = backend_class(references, "source")
    pooled = pool_tokens(tokens[None], 8)[0]
    contributions = token_contributions([tokens], backend.contrast(pooled), VectorLayout(), 8)
    assert contributions.shape == (20, 8)
    squared = backend.distance(pooled[None])[0].double() ** 2
    torch.testing.assert_close(contributions.mean(dim=0).sum(), squared, rtol=1e-5, atol=0)


def test_when_one_cell_differs_then_it_contributes_most():
    tokens = torch.zeros(20 * 8, 6)
    tokens[7 * 8 + 3] = 1.0
    pooled = pool_tokens(tokens[None], 8)[0].double()
    contrast = Contrast(torch.zeros_like(pooled), pooled, 0)
    assert int(token_contributions([tokens], contrast, VectorLayout(), 8).argmax()) == 7 * 8 + 3


def test_level_deviations_are_in_standard_deviations_of_the_references():
    generator = torch.Generator().manual_seed(0)
    references = 3.0 + torch.tensor([1.0, 5.0]) * torch.randn(40, 50, 2, generator=generator)
    moments = torch.stack([references.mean(dim=1), references.square().mean(dim=1)], dim=2)
    levels = torch.tensor([[3.0, 3.0], [5.0, 13.0], [2.0, -2.0]])
    expected = torch.tensor([[0.0, 0.0], [2.0, 2.0], [-1.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(level_deviations(levels, moments), expected, rtol=0.1, atol=0.1)
