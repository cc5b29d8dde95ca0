"""Pooling of tokens against the published implementation and against plain loops."""

from pathlib import Path

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.pooling import pool_tokens

GOLDEN = Path(__file__).parents[1] / "golden" / "genrep" / "pooling.npz"


def numbered_tokens(batch: int, time: int, freq: int, width: int) -> torch.Tensor:
    return torch.arange(batch * time * freq * width, dtype=torch.float32).view(batch, time * freq, width).sin()


@pytest.mark.parametrize(
    ("mode", "golden"),
    [("time_mean", "temporal/pooled"), ("frequency_mean", "spectral/clip0"), ("mean", "None/pooled")],
)
def test_pooling_equals_the_published_one(mode, golden):
    arrays = np.load(GOLDEN)
    for layer, expected in enumerate(arrays[golden], start=1):  # spectral: of the first clip only
        tokens = torch.from_numpy(arrays[f"layer_result_{layer}"][: len(expected)].astype(np.float32))
        np.testing.assert_allclose(pool_tokens(tokens, 8, mode).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_time_mean_is_ordered_frequency_slow_dimension_fast():
    tokens = numbered_tokens(2, 5, 3, 4)
    pooled = pool_tokens(tokens, num_freq=3)
    for frequency in range(3):
        for d in range(4):
            expected = sum(tokens[1, t * 3 + frequency, d] for t in range(5)) / 5
            torch.testing.assert_close(pooled[1, frequency * 4 + d], expected)


@pytest.mark.parametrize("mode", ["time_mean", "mean"])
def test_when_columns_are_masked_then_result_is_that_of_the_shorter_clip(mode):
    tokens = numbered_tokens(2, 6, 2, 3)
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    torch.testing.assert_close(pool_tokens(tokens, 2, mode, mask), pool_tokens(tokens[:, :8], 2, mode))


def test_when_time_is_kept_then_masked_columns_are_zero():
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    pooled = pool_tokens(numbered_tokens(2, 6, 2, 3), 2, "frequency_mean", mask).view(2, 6, 3)
    assert pooled[:, :4].abs().min() > 0
    assert (pooled[:, 4:] == 0).all()


def test_when_tokens_do_not_fill_columns_then_error_names_the_class_token():
    with pytest.raises(ValueError, match=r"17 tokens.*class token"):
        pool_tokens(torch.zeros(1, 17, 2), 8)


def test_when_mode_is_unknown_then_error_lists_the_modes():
    with pytest.raises(ValueError, match=r"'max' is not a valid mode.*time_mean"):
        pool_tokens(torch.zeros(1, 16, 2), 8, "max")


def test_when_mask_has_another_shape_then_error_names_both():
    with pytest.raises(ValueError, match=r"\[1, 3\].*\[1, 2\]"):
        pool_tokens(torch.zeros(1, 16, 2), 8, mask=torch.ones(1, 3, dtype=torch.bool))
