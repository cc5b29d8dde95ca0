"""What self-supervised pre-training predicts: codes of a random-projection tokenizer, and statistics of the clip.

The tokenizer is that of BEATs' first iteration (Chen et al., "BEATs", ICML 2023, section 3.2.1; Chiu et al.,
"BEST-RQ", 2022): a frozen random projection of each patch and the nearest of frozen random code vectors. The second
iteration reads the tokens of a trained encoder instead of the patches.
"""

from typing import Any

import torch
from torch import nn

from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.encoders.feature_extraction_encoder import set_clip_level

_EPSILON = 1e-5


def cut_patches(features: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Cut a spectrogram into patches in the order of the encoder's tokens: time slow, frequency fast.

    Args:
        features: [batch, frames, mel bins].
        patch_size: frames and mel bins of a patch; what does not fill one falls off.

    Returns:
        [batch, T * F, patch_size * patch_size], within a patch time slow and frequency fast.
    """
    batch, frames, bins = features.shape
    columns, rows = frames // patch_size, bins // patch_size
    grid = features[:, : columns * patch_size, : rows * patch_size]
    grid = grid.reshape(batch, columns, patch_size, rows, patch_size).transpose(2, 3)
    return grid.reshape(batch, columns * rows, patch_size * patch_size)


def clip_statistics(features: torch.Tensor, patch_size: int) -> torch.Tensor:
    """Return statistics over time of each mel bin: mean, standard deviation, standard deviation of frame differences.

    Args:
        features: [batch, frames, mel bins], at least two frames.
        patch_size: mel bins of a patch.

    Returns:
        [batch, F, 3 * patch_size], the bins of each row of patches together.
    """
    moments = (features.mean(dim=1), _deviation(features), _deviation(features.diff(dim=1)))
    rows = features.shape[2] // patch_size
    grid = torch.stack(moments, dim=1)[..., : rows * patch_size].unflatten(2, (rows, patch_size))
    return grid.transpose(1, 2).flatten(2)


def _deviation(values: torch.Tensor) -> torch.Tensor:
    """Return the deviation over dimension 1, without Bessel's correction; `torch.std` takes five times as long."""
    return (values - values.mean(dim=1, keepdim=True)).square().mean(dim=1).sqrt()


class Standardizer(nn.Module):
    """Bring values to mean 0 and standard deviation 1, for every row of patches and dimension on its own.

    Without it the colour of the average spectrum would decide which code vector is nearest, and few codes be in use.

    Args:
        rows: F, rows of patches along frequency.
        size: dimensions of a value.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, rows: int, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(rows, size))
        self.register_buffer("std", torch.ones(rows, size))

    @torch.no_grad()
    def fit(self, values: torch.Tensor) -> None:
        """Take mean and standard deviation from examples [batch, T * F, size]."""
        rows = values.double().view(-1, *self.mean.shape)
        self.mean.copy_(rows.mean(dim=0))
        self.std.copy_(rows.std(dim=0, correction=0).clamp(min=_EPSILON))

    def forward(self, values: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Standardize the values of some tokens.

        Args:
            values: [batch, n, size].
            tokens: indices of the tokens that they are of, [batch, n]; None: all T * F in their order.

        Returns:
            [batch, n, size] float32.
        """
        if tokens is None:
            grid = values.float().unflatten(1, (-1, self.mean.shape[0]))
            return ((grid - self.mean) / self.std).flatten(1, 2)
        rows = tokens % self.mean.shape[0]
        return (values.float() - self.mean[rows]) / self.std[rows]


class RandomProjectionTokenizer(nn.Module):
    """Frozen random projections and the nearest of frozen random code vectors, by cosine.

    Args:
        rows: F, rows of patches along frequency.
        size: dimensions of what is projected: pixels of a patch, or the width of a trained encoder.
        num_codes: code vectors of a codebook; BEATs has 1024.
        code_size: dimensions of a code vector; BEATs has 256.
        num_codebooks: projections, each with a codebook; every one of them gives a target.
        seed: of projections and codebooks.
    """

    projection: torch.Tensor
    codebook: torch.Tensor

    def __init__(
        self, rows: int, size: int, num_codes: int = 1024, code_size: int = 256, num_codebooks: int = 1, seed: int = 0
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        projection = torch.randn(num_codebooks, size, code_size, generator=generator)
        codebook = torch.randn(num_codebooks, num_codes, code_size, generator=generator)
        self.standardize = Standardizer(rows, size)
        self.register_buffer("projection", projection)
        self.register_buffer("codebook", nn.functional.normalize(codebook, dim=-1))

    @torch.no_grad()
    def forward(self, values: torch.Tensor, tokens: torch.Tensor | None = None) -> torch.Tensor:
        """Return the codes of some tokens, computed in float32.

        Args:
            values: [batch, n, size].
            tokens: indices of the tokens that they are of, [batch, n]; None: all T * F in their order.

        Returns:
            [batch, n, codebooks] int64.
        """
        with torch.autocast(values.device.type, enabled=False):
            flat = self.standardize(values, tokens).flatten(0, 1)
            # The length of a projected patch does not change which cosine is the largest.
            similarity = torch.bmm(flat @ self.projection, self.codebook.mT)
            # On a CPU `max` takes a quarter of the time of `argmax`.
            return similarity.max(dim=-1).indices.T.view(*values.shape[:2], -1)


class LogMelPatches:
    """What the tokenizer of the first iteration reads: the pixels of each patch.

    Args:
        patch_size: frames and mel bins of a patch.
    """

    def __init__(self, patch_size: int) -> None:
        self.patch_size = patch_size
        self.size = patch_size * patch_size

    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Read [batch, frames, mel bins] as [batch, T * F, size]."""
        return cut_patches(features, self.patch_size)


class TeacherTokens:
    """What the tokenizer of the second iteration reads: tokens of a trained encoder that hears the unmasked clip.

    Args:
        teacher: the encoder, frozen here; an attribute, not a submodule, so that it is neither trained nor saved.
        layer: index into `hidden_states`; None: `embedding_layer` of its configuration, or else the last one.
        level: clip level that it was trained at, see `set_clip_level`.
        device: where to compute.

    Raises:
        ValueError: the encoder has no such layer.
    """

    def __init__(
        self, teacher: Any, layer: int | None, level: float | None, device: torch.device | str = "cpu"
    ) -> None:
        depth = teacher.config.num_hidden_layers
        self.layer = embedding_layer(teacher.config) if layer is None else layer
        if not 0 <= self.layer <= depth:
            raise ValueError(f"tokenizer_layer is {self.layer}, the model has layers 0 to {depth}: use one of them")
        self.teacher = teacher.requires_grad_(False).eval().to(device)
        self.prefix = teacher.config.num_prefix_tokens
        self.level = level
        self.size = teacher.config.hidden_size

    @torch.no_grad()
    def __call__(self, features: torch.Tensor) -> torch.Tensor:
        """Read [batch, frames, mel bins] as [batch, T * F, size]."""
        features = set_clip_level(features, self.level)
        outputs = self.teacher(input_values=features, output_hidden_states=[self.layer])
        return outputs.hidden_states[self.layer][:, self.prefix :]
