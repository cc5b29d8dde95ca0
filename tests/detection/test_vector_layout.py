"""Blocks and bands of a vector, and by what blocks of unlike units are divided."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.vector_layout import VectorLayout, changing_layer, is_block

JOINED = VectorLayout((3, 2), num_bands=2, is_scaled=True)
GENERATOR = torch.Generator().manual_seed(0)
VECTORS = 5 + torch.randn(6, 10, generator=GENERATOR) * torch.tensor([1.0] * 6 + [50.0] * 4)
IS_TARGET = torch.tensor([False] * 4 + [True] * 2)


def test_blocks_and_bands_lie_end_to_end():
    blocks = JOINED.blocks(VECTORS)
    assert [block.shape[1] for block in blocks] == [6, 4]
    bands = JOINED.bands(VECTORS)
    assert [band.shape[1] for band in bands] == [3, 3, 2, 2]
    torch.testing.assert_close(torch.cat(bands, dim=1), VECTORS, rtol=0, atol=0)


def test_divisors_are_the_root_of_the_variance_about_the_mean_of_the_own_domain():
    expected = []
    for block in (VECTORS[:, :6].double().numpy(), VECTORS[:, 6:].double().numpy()):
        squares = []
        for domain in (False, True):
            rows = block[IS_TARGET.numpy() == domain]
            squares += [((row - rows.mean(axis=0)) ** 2).sum() for row in rows]
        expected.append(np.sqrt(np.mean(squares)))
    divisors = JOINED.divisors(VECTORS, IS_TARGET)
    np.testing.assert_allclose(divisors.numpy(), expected, rtol=1e-12)
    again = JOINED.divisors(JOINED.scale(VECTORS, divisors), IS_TARGET)
    np.testing.assert_allclose(again.numpy(), [1, 1], rtol=1e-5)


def test_when_references_do_not_vary_then_divisor_is_their_root_mean_square():
    divisors = JOINED.divisors(VECTORS[:1], IS_TARGET[:1])
    np.testing.assert_allclose(divisors.numpy(), [VECTORS[0, :6].norm(), VECTORS[0, 6:].norm()], rtol=1e-6)
    copies = JOINED.divisors(VECTORS[:1].expand(3, -1), IS_TARGET[:3])
    np.testing.assert_allclose(copies.numpy(), divisors.numpy(), rtol=1e-6)
    assert JOINED.divisors(torch.zeros(2, 10), IS_TARGET[:2]).tolist() == [1, 1]


def test_when_blocks_are_of_one_unit_then_they_stay():
    layout = VectorLayout((3, 2))
    assert layout.divisors(VECTORS, IS_TARGET).tolist() == [1, 1]
    assert layout.scale(VECTORS, torch.tensor([2.0, 3.0])) is VECTORS


def test_when_vectors_do_not_divide_then_error_names_the_sizes():
    with pytest.raises(ValueError, match=r"vectors of 9 features do not divide into blocks of \(3, 2\)"):
        JOINED.blocks(VECTORS[:, :9])
    with pytest.raises(ValueError, match="vectors of 3 features do not divide into 2 bands"):
        JOINED.bands(VECTORS[:, :5])


def test_beside_changes_every_block_is_a_group():
    layout = VectorLayout((3, 2, 1), num_bands=2, is_scaled=True, num_changes=2)
    assert layout.groups == [VectorLayout((3,), 2), VectorLayout((2,), 2), VectorLayout((1,), 2)]
    assert layout.are_changes == [False, True, True]
    vectors = torch.arange(24.0).view(2, 12)
    expected = [vectors[:, :6], vectors[:, 6:10], vectors[:, 10:]]
    assert [part.tolist() for part in layout.split_groups(vectors)] == [part.tolist() for part in expected]
    assert JOINED.groups == [VectorLayout((3, 2), 2)] and len(JOINED.split_groups(VECTORS)) == 1
    assert JOINED.are_changes == [False]


CHANGING = {"change-0": 0, "change-12": 12, "change-recorded": "recorded"}


@pytest.mark.parametrize("layer", [0, 12, "log-mel", "level", "recorded", *CHANGING])
def test_blocks_are_known_by_their_names(layer):
    assert is_block(layer)
    assert changing_layer(layer) == CHANGING.get(layer)


@pytest.mark.parametrize("layer", ["", "change-", "change-a", "change--1", "change-1 ", "change-٣", "change-level"])
def test_other_names_are_no_blocks(layer):
    assert not is_block(layer) and changing_layer(layer) is None
