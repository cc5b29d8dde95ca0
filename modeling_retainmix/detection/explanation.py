"""Where in time and frequency a clip differs from its nearest reference."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Explanation:
    """Contributions to the squared distance between a clip and its nearest reference.

    Attributes:
        contributions: [T, F] float64, time columns by frequency patches, low frequencies first. The mean over time,
            summed over the patches, is `squared_distance`. Single cells may be negative: there the clip is closer
            to the reference than elsewhere.
        deviations: [T, F] float64, squared distance between token and reference in each cell; it also counts what
            passes within the clip and leaves its mean alone.
        squared_distance: between the pooled clip and the reference.
        reference: name of the nearest reference; of a mixed one, that of its target reference.
        domain: of the bank which decided the score, "source" or "target".
        start_seconds: where in the clip the map begins: the window with the highest score.
        column_seconds: from one time column to the next one, in seconds.
    """

    contributions: np.ndarray
    deviations: np.ndarray
    squared_distance: float
    reference: str
    domain: str
    start_seconds: float
    column_seconds: float


def token_contributions(tokens: torch.Tensor, reference: torch.Tensor, num_freq: int) -> torch.Tensor:
    """Splits the squared distance between a time-mean pooled clip and a reference among the clip's tokens.

    With h a token, m the mean over time of its band and r the reference of that band, the cell holds
    <h - r, m - r>, whose mean over time is |m - r|^2.

    Args:
        tokens: [T * F, D] of one clip, real time columns only.
        reference: [F * D] pooled reference.
        num_freq: F.

    Returns:
        [T, F] float64.
    """
    grid, bands = _grid(tokens, reference, num_freq)
    return torch.einsum("tfd,fd->tf", grid - bands, grid.mean(dim=0) - bands)


def token_deviations(tokens: torch.Tensor, reference: torch.Tensor, num_freq: int) -> torch.Tensor:
    """Squared distance |h - r|^2 of every token to the reference's band; arguments as in `token_contributions`."""
    grid, bands = _grid(tokens, reference, num_freq)
    return (grid - bands).square().sum(dim=2)


def _grid(tokens: torch.Tensor, reference: torch.Tensor, num_freq: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = tokens.shape[1]
    return tokens.double().view(-1, num_freq, width), reference.double().view(num_freq, width)
