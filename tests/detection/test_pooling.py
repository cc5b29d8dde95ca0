"""Pooling of tokens against the published implementation and against plain loops."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.pooling import PoolingMode, keeps_bands, pool_tokens, values_per_band

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


OVER_TIME = ["time_mean", "time_mean_std", "time_generalized_mean", "time_rdp"]


def naive_pooling(column: np.ndarray, mode: str, p: float, gamma: float) -> np.ndarray:
    """Pool [T, D] of one frequency as the definitions say, in float64."""
    mean = sum(column) / len(column)
    if mode == "time_mean_std":
        return np.concatenate([mean, np.sqrt(sum((x - mean) ** 2 for x in column) / len(column))])
    if mode == "time_generalized_mean":
        power = sum(np.sign(x) * np.abs(x) ** p for x in column) / len(column)
        return np.sign(power) * np.abs(power) ** (1 / p)
    if mode == "time_rdp":
        distances = [np.linalg.norm(x - mean) for x in column]
        largest = max(distances)
        weights = [(1 + d / largest) ** gamma if largest > 0 else 1.0 for d in distances]
        return sum(w * x for w, x in zip(weights, column, strict=True)) / sum(weights)
    return mean


@pytest.mark.parametrize(("p", "gamma"), [(1.0, 0.0), (3.0, 1.0), (2.5, 16.0), (40.0, 100.0)])
@pytest.mark.parametrize("mode", OVER_TIME)
def test_pooling_over_time_equals_its_definition_in_each_frequency(mode, p, gamma):
    tokens = numbered_tokens(2, 7, 3, 4)
    mask = torch.tensor([[True] * 7, [True, True, False, True, True, True, False]])
    pooled = pool_tokens(tokens, 3, mode, mask, p, gamma).view(2, 3, -1)
    for clip in range(2):
        for frequency in range(3):
            column = tokens.view(2, 7, 3, 4)[clip, mask[clip], frequency].double().numpy()
            expected = naive_pooling(column, mode, p, gamma)
            np.testing.assert_allclose(pooled[clip, frequency].numpy(), expected, rtol=1e-4, atol=1e-6)


def test_generalized_mean_and_rdp_are_the_mean_at_the_ends_of_their_parameters():
    tokens = numbered_tokens(2, 7, 3, 4)
    mean = pool_tokens(tokens, 3)
    torch.testing.assert_close(pool_tokens(tokens, 3, "time_generalized_mean", p=1), mean)
    torch.testing.assert_close(pool_tokens(tokens, 3, "time_rdp", gamma=0), mean)


@pytest.mark.parametrize("mode", OVER_TIME)
def test_when_all_columns_are_equal_then_pooling_gives_them_back(mode):
    column = numbered_tokens(1, 1, 3, 4)
    pooled = pool_tokens(column.repeat(1, 5, 1), 3, mode).view(3, -1)
    torch.testing.assert_close(pooled[:, :4], column[0])
    assert mode != "time_mean_std" or pooled[:, 4:].abs().max() < 1e-6


@pytest.mark.parametrize("mode", ["time_generalized_mean", "time_rdp"])
def test_values_of_any_size_do_not_overflow(mode):
    tokens = 2.0**40 * numbered_tokens(1, 6, 2, 3)
    torch.testing.assert_close(
        pool_tokens(tokens, 2, mode, p=100, gamma=100) / 2.0**40,
        pool_tokens(tokens / 2.0**40, 2, mode, p=100, gamma=100),
    )


@pytest.mark.parametrize("mode", get_args(PoolingMode))
def test_number_of_values_is_known_beforehand(mode):
    pooled = pool_tokens(numbered_tokens(1, 6, 2, 3), 2, mode)
    columns = 6 if mode == "frequency_mean" else 1
    assert pooled.shape == (1, columns * (2 if keeps_bands(mode) else 1) * values_per_band(mode, 3))
    assert keeps_bands(mode) == (mode in OVER_TIME)


@pytest.mark.parametrize("mode", [*OVER_TIME, "mean"])
def test_when_columns_are_masked_then_result_is_that_of_the_shorter_clip(mode):
    tokens = numbered_tokens(2, 6, 2, 3)
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    torch.testing.assert_close(pool_tokens(tokens, 2, mode, mask), pool_tokens(tokens[:, :8], 2, mode))


def test_when_time_is_kept_then_masked_columns_are_zero():
    mask = torch.tensor([[True] * 4 + [False] * 2] * 2)
    pooled = pool_tokens(numbered_tokens(2, 6, 2, 3), 2, "frequency_mean", mask).view(2, 6, 3)
    assert pooled[:, :4].abs().min() > 0
    assert pooled[:, 4:].abs().max() < 1e-6


def test_when_tokens_do_not_fill_columns_then_error_names_the_class_token():
    with pytest.raises(ValueError, match=r"17 tokens.*class token"):
        pool_tokens(torch.zeros(1, 17, 2), 8)


def test_when_mode_is_unknown_then_error_lists_the_modes():
    with pytest.raises(ValueError, match=r"'max' is not a valid mode.*time_mean"):
        pool_tokens(torch.zeros(1, 16, 2), 8, "max")


def test_when_mask_has_another_shape_then_error_names_both():
    with pytest.raises(ValueError, match=r"\[1, 3\].*\[1, 2\]"):
        pool_tokens(torch.zeros(1, 16, 2), 8, mask=torch.ones(1, 3, dtype=torch.bool))
