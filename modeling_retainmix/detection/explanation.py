"""Where in time and frequency a clip differs from normal ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from modeling_retainmix.audio import SAMPLING_RATE
from modeling_retainmix.detection.backends.base import Contrast
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.embedder import Embedder
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.detection.windows import Windows
from modeling_retainmix.encoders.fbank import FRAME_SHIFT


@dataclass(frozen=True)
class Explanation:
    """Two maps over the T time columns and F frequency patches of a window, low frequencies first.

    Attributes:
        contributions: [T, F] float64, of each cell to the squared distance. Their mean over time, summed over the
            patches, is `squared_distance`. Cells may be negative: there the clip is nearer to the references than
            elsewhere. They explain the score. By default the largest 5 % of cells hit 100 % of bursts of 0.3 s in one
            patch, as loud as the clip (interval 97 to 100 %, 120 clips; cells drawn by chance hit 14 %); of an
            encoder's layer alone, whose tokens know of their neighbors, 44 % (36 to 53 %).
        level_deviations: [T, F] float64, of the log-mel level in each cell from that of the references in the same
            patch, in standard deviations; at the encoder's `clip_level`, if it has one. They locate events (the
            same bursts: 99 %, interval 95 to 100 %), but do not explain the score. The figures:
            `python benchmarks/localization.py --model hub_cards/retainmix-beats-tiny`, and with `--layer 4`.
        squared_distance: of the pooled window to the nearest reference, or to the Gaussian of the domain; whitened, if
            the backend is "whitened"; of several layers and of joined statistics, that of all together.
        reference: name of the nearest reference; of a mixed one, that of its target reference.
        domain: that decided the score, "source" or "target"; if both are pooled, that of the nearest reference.
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


def explain_clip(
    waveform: np.ndarray,
    name: str,
    embedder: Embedder,
    windows: Windows,
    scores: DomainScores,
    references: Mapping[str, torch.Tensor],
    reference_names: Sequence[str],
    batch_size: int,
) -> Explanation:
    """Map what makes a clip differ from its nearest reference, in the window with the highest score.

    Args:
        waveform: float32 [samples] at 16 kHz.
        name: of the clip, for messages.
        embedder: with time-mean pooling.
        windows: how to cut the clip.
        scores: of backends with `has_contrast`.
        references: tensors `is_target_domain` [n], `recording_index` [n] and `level_moments` [n, F, 2].
        reference_names: names of the reference recordings.
        batch_size: windows of one forward.

    Raises:
        ValueError: the clip is too short.
    """
    config = embedder.model.config
    starts, samples = zip(*windows.cut(waveform, SAMPLING_RATE), strict=True)
    embedder.check_length(len(samples[0]), name)
    waveforms = torch.from_numpy(np.stack(samples))
    distances = [scores.distances(embedder.join(embedder.embed(batch))) for batch in waveforms.split(batch_size)]
    by_domain = scores.normalized(torch.cat(distances))
    window = int(by_domain.amin(dim=1).argmax())
    domain = scores.domains[int(by_domain[window].argmin())]
    tokens = embedder.tokens(waveforms[window : window + 1])
    pooled = scores.scaled(embedder.join(embedder.pool(tokens))[0].cpu())
    backend = scores.backends[domain]
    contrast = backend.contrast(pooled)
    columns = int(tokens.real_columns.sum())  # padding lies behind the clip
    num_freq, divisors = config.num_mel_patches, scores.divisors.tolist()
    hidden = [tokens.hidden[layer][0, : columns * num_freq].cpu() for layer in embedder.layers]
    cells = [tokens / divisor for tokens, divisor in zip(hidden, divisors, strict=True)]
    levels = level_deviations(tokens.levels[0, :columns].cpu(), references["level_moments"][backend.rows])
    recording = int(references["recording_index"][contrast.row])
    is_target_domain = bool(references["is_target_domain"][contrast.row])
    return Explanation(
        contributions=token_contributions(cells, contrast, embedder.layout, num_freq).numpy(),
        level_deviations=levels.numpy(),
        squared_distance=float((pooled.double() - contrast.origin) @ contrast.direction),
        reference=reference_names[recording],
        domain="target" if is_target_domain else "source",
        start_seconds=starts[window] / SAMPLING_RATE,
        column_seconds=config.patch_size * FRAME_SHIFT / SAMPLING_RATE,
    )


def token_contributions(
    tokens: Sequence[torch.Tensor], contrast: Contrast, layout: VectorLayout, num_freq: int
) -> torch.Tensor:
    """Split the squared distance of a time-mean pooled clip among the clip's tokens.

    With h a token, m the mean over time of its band, r the origin and g the direction of the contrast in that band,
    the cell holds <h - r, g>, whose mean over time, summed over the bands, is the squared distance: g is m - r for the
    nearest reference r, and the inverse covariance times m - r for the mean r of a Gaussian or the nearest reference r
    in a whitened space.

    Args:
        tokens: [T * F, D] of each layer of one clip, real time columns only; D may differ.
        contrast: of the pooled clip, [F * D] of each layer end to end.
        layout: of the pooled clip.
        num_freq: F.

    Returns:
        [T, F] float64.
    """
    parts = []
    for block, *vectors in zip(tokens, layout.blocks(contrast.origin), layout.blocks(contrast.direction), strict=True):
        grid = block.double().view(-1, num_freq, block.shape[1])
        origin, direction = (vector.view(num_freq, -1) for vector in vectors)
        parts.append(torch.einsum("tfd,fd->tf", grid - origin, direction))
    return torch.stack(parts).sum(dim=0)


def level_deviations(levels: torch.Tensor, reference_moments: torch.Tensor) -> torch.Tensor:
    """Standardize log-mel levels by those of the references.

    Args:
        levels: [T, F] of one clip.
        reference_moments: [references, F, 2] mean over time of level and squared level.

    Returns:
        [T, F] float64, positive where the clip is louder.
    """
    mean, square = reference_moments.double().mean(dim=0).unbind(dim=1)
    return (levels.double() - mean) / (square - mean.square()).clamp(min=1e-12).sqrt()
