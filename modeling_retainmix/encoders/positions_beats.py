"""The two sources of positions in BEATs: a long convolution, and a bias of the attention."""

import math

import torch
from torch import nn

from .configuration_beats import BeatsConfig


class BeatsPositionalConv1d(nn.Conv1d):
    """A convolution with padding kernel // 2 and as many output as input steps, by FFT where that is faster."""

    bias: torch.Tensor

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        weight, bias = self.weight, self.bias
        assert bias is not None  # as it is constructed
        if signal.device.type == "cpu" and weight.shape[1] % 16:
            # oneDNN's bfloat16 kernels give wrong sums unless the channels of a group are a multiple of 16.
            with torch.autocast("cpu", enabled=False):
                return self._convolve(signal.float(), weight.float(), bias.float()).to(signal.dtype)
        return self._convolve(signal, weight, bias)

    def _convolve(self, signal: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        # On a CPU, a long grouped kernel costs 4 to 7 times less by FFT, unless few clips share its transform.
        if (
            not (torch.compiler.is_compiling() or torch.jit.is_tracing())
            and signal.device.type == "cpu"
            and signal.dtype == torch.float32
            and signal.shape[0] >= 8
        ):
            return fourier_conv1d(signal, weight, bias, self.groups)
        positions = nn.functional.conv1d(signal, weight, bias, padding=weight.shape[-1] // 2, groups=self.groups)
        # An even kernel gives one step too many.
        return positions[..., : signal.shape[-1]]


class BeatsPositionalConvEmbedding(nn.Module):
    """A weight-normalised positional convolution over the token sequence, and GELU."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        kernel = config.num_conv_pos_embeddings
        conv = BeatsPositionalConv1d(
            config.hidden_size,
            config.hidden_size,
            kernel_size=kernel,
            padding=kernel // 2,
            groups=config.num_conv_pos_embedding_groups,
        )
        self.conv = nn.utils.parametrizations.weight_norm(conv, dim=2)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return nn.functional.gelu(self.conv(hidden_states.transpose(1, 2))).transpose(1, 2)


def fourier_conv1d(signal: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, groups: int) -> torch.Tensor:
    """`conv1d` with padding kernel // 2 and as many output as input steps, computed by FFT.

    Args:
        signal: [batch, channels, steps].
        weight: [channels, channels // groups, kernel].
        bias: [channels].
        groups: of the channels.

    Returns:
        [batch, channels, steps].
    """
    batch, channels, steps = signal.shape
    kernel, width = weight.shape[-1], channels // groups
    size = 64 * math.ceil((steps + kernel - 1) / 64)  # no wrap-around, and a length with small factors
    spectrum = torch.fft.rfft(signal.contiguous(), n=size).view(batch, groups, width, -1)
    # A convolution layer correlates: hence the conjugate.
    transfer = torch.fft.rfft(weight.view(groups, width, width, kernel), n=size).conj()
    # One matrix product for each group and frequency.
    spectrum = spectrum.permute(1, 3, 0, 2).reshape(-1, batch, width)
    product = torch.bmm(spectrum, transfer.permute(0, 3, 2, 1).reshape(-1, width, width))
    product = product.view(groups, -1, batch, width).permute(2, 0, 3, 1).reshape(batch, channels, -1)
    result = torch.fft.irfft(product, n=size).roll(kernel // 2, dims=-1)
    return result[..., :steps] + bias[:, None]


class BeatsRelativePositionBias(nn.Module):
    """One bias per head and bucket of the distance key - query, shared by all layers (T5, bidirectional)."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.num_buckets = config.num_buckets
        self.max_distance = config.max_bucket_distance
        self.embedding = nn.Embedding(config.num_buckets, config.num_attention_heads)

    def buckets(self, offset: torch.Tensor) -> torch.Tensor:
        """Bucket of every key index minus query index: half of the buckets per sign, short distances exact."""
        half = self.num_buckets // 2
        exact = half // 2
        distance = offset.abs()
        ratio = (distance.float() / exact).log() / math.log(self.max_distance / exact)
        logarithmic = exact + (ratio * (half - exact)).long()
        bucket = torch.where(distance < exact, distance, logarithmic.clamp(max=half - 1))
        return bucket + (offset > 0) * half

    def forward(self, num_tokens: int, device: torch.device) -> torch.Tensor:
        """[1, heads, queries, keys]"""
        index = torch.arange(num_tokens, device=device)
        buckets = self.buckets(index[None, :] - index[:, None])
        # Every layer multiplies it by the gates of every clip: a strided tensor takes several times as long.
        return self.embedding(buckets).permute(2, 0, 1).unsqueeze(0).contiguous()
