"""Pooling of an encoder's patch tokens into one vector per clip."""

from typing import Literal, get_args

import torch

PoolingMode = Literal["time_mean", "frequency_mean", "mean"]


def pool_tokens(
    hidden: torch.Tensor, num_freq: int, mode: PoolingMode = "time_mean", mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Average tokens over time, over frequency, or over both (GenRep, arXiv 2409.05035, section 3).

    Args:
        hidden: tokens without class token, [batch, T * F, D]; token index = time * F + frequency.
        num_freq: F, patches along the frequency axis.
        mode: "time_mean" averages over T and gives [batch, F * D], feature index = frequency * D + d (the published
            setting); "frequency_mean" averages over F and gives [batch, T * D]; "mean" over both, [batch, D].
        mask: [batch, T] bool, True where a time column is real; the others are left out of the average. With
            "frequency_mean", which keeps the time axis, they become zero. None: all are real.

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
    if mask is None:
        pooled = grid.mean(dim=1)
    else:
        weights = mask.to(hidden.dtype)
        pooled = torch.einsum("btfd,bt->bfd", grid, weights / weights.sum(dim=1, keepdim=True))
    return pooled.mean(dim=1) if mode == "mean" else pooled.flatten(1)
