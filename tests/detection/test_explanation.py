"""The map adds up to the squared distance, and points at what differs."""

import torch

from modeling_retainmix.detection import pool_tokens
from modeling_retainmix.detection.explanation import level_deviations, token_contributions


def test_contributions_add_up_to_the_squared_distance():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(20 * 8, 6, generator=generator)
    reference = torch.randn(8 * 6, generator=generator)
    contributions = token_contributions(tokens, reference, 8)
    assert contributions.shape == (20, 8)
    distance = (pool_tokens(tokens[None], 8)[0].double() - reference).norm()
    torch.testing.assert_close(contributions.mean(dim=0).sum(), distance**2)


def test_when_one_cell_differs_then_it_contributes_most():
    tokens = torch.zeros(20 * 8, 6)
    tokens[7 * 8 + 3] = 1.0
    assert int(token_contributions(tokens, torch.zeros(8 * 6), 8).argmax()) == 7 * 8 + 3


def test_level_deviations_are_in_standard_deviations_of_the_references():
    generator = torch.Generator().manual_seed(0)
    references = 3.0 + torch.tensor([1.0, 5.0]) * torch.randn(40, 50, 2, generator=generator)
    moments = torch.stack([references.mean(dim=1), references.square().mean(dim=1)], dim=2)
    levels = torch.tensor([[3.0, 3.0], [5.0, 13.0], [2.0, -2.0]])
    expected = torch.tensor([[0.0, 0.0], [2.0, 2.0], [-1.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(level_deviations(levels, moments), expected, rtol=0.1, atol=0.1)
