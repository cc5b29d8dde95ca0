"""Where in time and frequency a clip differs from normal ones."""

from dataclasses import dataclass

import numpy as np
import torch

from modeling_retainmix.detection.backends.base import Contrast


@dataclass(frozen=True)
class Explanation:
    """Two maps over the T time columns and F frequency patches of a window, low frequencies first.

    Attributes:
        contributions: [T, F] float64, of each cell to the squared distance. Their mean over time, summed over the
            patches, is `squared_distance`. Cells may be negative: there the clip is nearer to the references than
            elsewhere. They explain the score, but tokens know of their neighbours, so they locate events badly: the
            largest 5 % of cells hit 9 % of bursts of 0.3 s in one patch, as loud as the clip (interval 5 to 16 %, 120
            clips; cells drawn by chance hit 14 %).
        level_deviations: [T, F] float64, of the log-mel level in each cell from that of the references in the same
            patch, in standard deviations. They locate events (the same bursts: 100 %, interval 97 to 100 %), but do
            not explain the score. Both figures:
            `python benchmarks/localization.py --model hub_cards/retainmix-beats-tiny`.
        squared_distance: of the pooled window to the nearest reference, or to the Gaussian of the domain.
        reference: name of the nearest reference; of a mixed one, that of its target reference.
        domain: of the bank which decided the score, "source" or "target".
        start_seconds: where in the clip the window begins; it is the one with the highest score.
        column_seconds: from one time column to the next one, in seconds.
    """

    contributions: np.ndarray
    level_deviations: np.ndarray
    squared_distance: float
    reference: str
    domain: str
    start_seconds: float
    column_seconds: float


def token_contributions(tokens: torch.Tensor, contrast: Contrast, num_freq: int) -> torch.Tensor:
    """Splits the squared distance of a time-mean pooled clip among the clip's tokens.

    With h a token, m the mean over time of its band, r the origin and g the direction of the contrast in that band,
    the cell holds <h - r, g>, whose mean over time, summed over the bands, is the squared distance: g is m - r for the
    nearest reference r, and the inverse covariance times m - r for the mean r of a Gaussian.

    Args:
        tokens: [T * F, D] of one clip, real time columns only.
        contrast: of the pooled clip [F * D].
        num_freq: F.

    Returns:
        [T, F] float64.
    """
    grid = tokens.double().view(-1, num_freq, tokens.shape[1])
    origin, direction = (vector.view(num_freq, -1) for vector in (contrast.origin, contrast.direction))
    return torch.einsum("tfd,fd->tf", grid - origin, direction)


def level_deviations(levels: torch.Tensor, reference_moments: torch.Tensor) -> torch.Tensor:
    """Standardises log-mel levels by those of the references.

    Args:
        levels: [T, F] of one clip.
        reference_moments: [references, F, 2] mean over time of level and squared level.

    Returns:
        [T, F] float64, positive where the clip is louder.
    """
    mean, square = reference_moments.double().mean(dim=0).unbind(dim=1)
    return (levels.double() - mean) / (square - mean.square()).clamp(min=1e-12).sqrt()
