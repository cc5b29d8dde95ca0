"""The map adds up to the squared distance, and points at what differs."""

import torch

from modeling_retainmix.detection import pool_tokens
from modeling_retainmix.detection.explanation import token_contributions, token_deviations


def test_contributions_add_up_to_the_squared_distance():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(20 * 8, 6, generator=generator)
    reference = torch.randn(8 * 6, generator=generator)
    contributions = token_contributions(tokens, reference, 8)
    assert contributions.shape == (20, 8)
    distance = (pool_tokens(tokens[None], 8)[0].double() - reference).norm()
    torch.testing.assert_close(contributions.mean(dim=0).sum(), distance**2)


def test_when_one_cell_differs_then_both_maps_are_highest_there():
    tokens = torch.zeros(20 * 8, 6)
    tokens[7 * 8 + 3] = 1.0
    for cell_map in (token_contributions, token_deviations):
        assert int(cell_map(tokens, torch.zeros(8 * 6), 8).argmax()) == 7 * 8 + 3


def test_deviation_is_the_squared_distance_of_token_and_band():
    generator = torch.Generator().manual_seed(0)
    tokens, reference = torch.randn(6, 4, generator=generator), torch.randn(8, generator=generator)
    expected = sum((tokens[2 * 2 + 1, d] - reference[4 + d]) ** 2 for d in range(4))
    torch.testing.assert_close(token_deviations(tokens, reference, 2)[2, 1], expected.double())
