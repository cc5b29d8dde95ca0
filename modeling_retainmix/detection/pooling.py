"""Pooling of an encoder's patch tokens into one vector per clip."""

from typing import Literal, get_args

import torch

PoolingMode = Literal[
    "time_mean", "time_mean_std", "time_generalized_mean", "time_rdp", "frequency_mean", "mean"
]  # those over time keep the frequency bands apart

DEFAULT_P = 3.0
DEFAULT_GAMMA = 16.0


def values_per_band(mode: PoolingMode, width: int) -> int:
    """Return how many values a band has, of tokens of `width` features; or a clip or time column without bands."""
    return 2 * width if mode == "time_mean_std" else width


def keeps_bands(mode: PoolingMode) -> bool:
    """Whether the pooled vector consists of one part of equal width for each frequency patch, low ones first."""
    return mode.startswith("time_")


def pool_tokens(
    hidden: torch.Tensor,
    num_freq: int,
    mode: PoolingMode = "time_mean",
    mask: torch.Tensor | None = None,
    p: float = DEFAULT_P,
    gamma: float = DEFAULT_GAMMA,
) -> torch.Tensor:
    """Average tokens over time, over frequency, or over both (GenRep, arXiv 2409.05035, section 3).

    Modes over time give [batch, F * D], feature index = frequency * D + d:

    - "time_mean": the mean over T (the published setting).
    - "time_mean_std": mean and standard deviation over T (without Bessel's correction), [batch, F * 2 * D]: the 2 * D
      values of a frequency lie together.
    - "time_generalized_mean": (mean |x|^p)^(1/p) with the signs of x, since features are signed: y = mean of
      sign(x) |x|^p, pooled = sign(y) |y|^(1/p). It is the mean for p = 1; large p listen to the extremes.
    - "time_rdp": relative-deviation pooling (arXiv 2603.04605), a weighted mean over T in which columns far from the
      clip's mean weigh more, for each frequency by itself: with d_t = ||x_t - mean||, w_t is proportional to
      (1 + d_t / max d)^gamma, and uniform where max d = 0. It is the mean for gamma = 0.

    "frequency_mean" averages over F and gives [batch, T * D], feature index = t * D + d; "mean" over both, [batch, D].

    Args:
        hidden: tokens without class token, [batch, T * F, D]; token index = time * F + frequency.
        num_freq: F, patches along the frequency axis.
        mode: as above.
        mask: [batch, T] bool, True where a time column is real; the others are left out. With "frequency_mean", which
            keeps the time axis, they become zero. None: all are real.
        p: exponent of "time_generalized_mean", at least 1.
        gamma: exponent of "time_rdp", at least 0.

    Returns:
        The pooled vectors, of the dtype of `hidden`.

    Raises:
        ValueError: an unknown mode, a number of tokens that is not a multiple of F, a mask of another shape.
    """
    if mode not in get_args(PoolingMode):
        raise ValueError(f"pooling mode {mode!r} is not a valid mode: use one of {', '.join(get_args(PoolingMode))}")
    batch, tokens, width = hidden.shape
    if tokens % num_freq:
        raise ValueError(
            f"{tokens} tokens do not fill columns of num_freq={num_freq}: remove the class token, or correct num_freq"
        )
    grid = hidden.view(batch, tokens // num_freq, num_freq, width)
    if mask is not None and mask.shape != grid.shape[:2]:
        raise ValueError(f"mask has shape {list(mask.shape)}, the tokens have [batch, T] = {list(grid.shape[:2])}")
    if mode == "frequency_mean":
        pooled = grid.mean(dim=2)
        return (pooled if mask is None else pooled * mask[..., None]).flatten(1)
    if mode == "time_mean_std":
        mean = _time_mean(grid, mask)
        std = _time_mean((grid - mean[:, None]).square(), mask).sqrt()
        return torch.cat([mean, std], dim=2).flatten(1)
    if mode == "time_generalized_mean":
        return _generalized_mean(grid, mask, p).flatten(1)
    if mode == "time_rdp":
        return torch.einsum("btfd,btf->bfd", grid, _deviation_weights(grid, mask, gamma)).flatten(1)
    pooled = _time_mean(grid, mask)
    return pooled.mean(dim=1) if mode == "mean" else pooled.flatten(1)


def _time_mean(grid: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Mean over the real columns, [batch, F, D] of [batch, T, F, D]."""
    if mask is None:
        return grid.mean(dim=1)
    weights = mask.to(grid.dtype)
    return torch.einsum("btfd,bt->bfd", grid, weights / weights.sum(dim=1, keepdim=True))


def _generalized_mean(grid: torch.Tensor, mask: torch.Tensor | None, p: float) -> torch.Tensor:
    grid = grid if mask is None else grid * mask[:, :, None, None]
    largest = grid.abs().amax(dim=1, keepdim=True)
    scaled = grid / torch.where(largest > 0, largest, 1)  # so that no power overflows
    powers = _time_mean(scaled.sign() * scaled.abs().pow(p), mask)
    return largest[:, 0] * powers.sign() * powers.abs().pow(1 / p)


def _deviation_weights(grid: torch.Tensor, mask: torch.Tensor | None, gamma: float) -> torch.Tensor:
    """Weights of relative-deviation pooling, [batch, T, F], which add up to 1 over the real columns."""
    real = grid.new_ones(grid.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
    deviation = (grid - _time_mean(grid, mask)[:, None]).norm(dim=3).masked_fill(~real[..., None], 0)
    largest = deviation.amax(dim=1, keepdim=True)
    relative = deviation / torch.where(largest > 0, largest, 1)
    logarithm = (gamma * relative.log1p()).masked_fill(~real[..., None], -torch.inf)
    return logarithm.softmax(dim=1)
