"""From waveforms to pooled embeddings of chosen layers, in one batched forward of an encoder."""

import copy
from collections.abc import Hashable, Iterable
from typing import Any

import torch

from modeling_retainmix.detection.pooling import PoolingMode, pool_tokens
from modeling_retainmix.encoders.fbank import FRAME_LENGTH


class Embedder:
    """Embeds clips with a frozen encoder.

    Layers above the highest one that is read are not computed. The model is left as it is: where it must be cut, the
    cut copy shares its parameters.

    Args:
        model: an encoder of transformers whose config has `num_mel_patches`, `num_prefix_tokens` and `patch_size` and
            whose `hidden_states[k]` is the output of layer k.
        feature_extractor: its feature extractor, with `extract_features` and `frame_mask`.
        layers: indices into `hidden_states`.
        device: where to compute.
        pooling: mode of `pool_tokens`.

    Raises:
        ValueError: no layer, or one that the model does not have.
    """

    def __init__(
        self,
        model: Any,
        feature_extractor: Any,
        layers: Iterable[int],
        device: torch.device | str = "cpu",
        pooling: PoolingMode = "time_mean",
    ) -> None:
        self.layers = sorted(set(layers))
        depth = model.config.num_hidden_layers
        if not self.layers or not 0 <= self.layers[0] <= self.layers[-1] <= depth:
            raise ValueError(f"layers {self.layers} cannot be read of a model of {depth} layers: use 0 to {depth}")
        self.device = torch.device(device)
        self.model = _cut(model, max(1, self.layers[-1])).to(self.device).eval()
        self.feature_extractor = feature_extractor
        self.pooling = pooling

    @torch.inference_mode()
    def embed(self, waveforms: torch.Tensor) -> dict[Hashable, torch.Tensor]:
        """Embeds a batch of clips of one length.

        Args:
            waveforms: [batch, samples] float in [-1, 1] at the feature extractor's sampling rate, on any device.

        Returns:
            {layer: [batch, dim] float32} on the embedder's device; dim = F * D with time-mean pooling.
        """
        grids, mask = self.tokens(waveforms)
        num_freq = self.model.config.num_mel_patches
        return {layer: pool_tokens(grid, num_freq, self.pooling, mask) for layer, grid in grids.items()}

    @torch.inference_mode()
    def tokens(self, waveforms: torch.Tensor) -> tuple[dict[int, torch.Tensor], torch.Tensor | None]:
        """The tokens before pooling.

        Args:
            waveforms: as in `embed`.

        Returns:
            {layer: [batch, T * F, D] float32}, without class token, and which time columns are real, [batch, T] bool
            (those whose frames are all real); None: all of them.
        """
        waveforms = waveforms.to(self.device, torch.float32)
        features = self.feature_extractor.extract_features(waveforms)
        hidden_states = self.model(features, output_hidden_states=self.layers).hidden_states
        prefix = self.model.config.num_prefix_tokens
        grids = {layer: hidden_states[layer][:, prefix:].float() for layer in self.layers}
        return grids, self._real_columns(len(waveforms), waveforms.shape[1], grids[self.layers[0]].shape[1])

    def accepts(self, samples: int) -> bool:
        """Whether a clip of so many samples fills at least one time column of tokens."""
        return samples >= FRAME_LENGTH and int(self._frame_mask(samples).sum()) >= self.model.config.patch_size

    def _frame_mask(self, samples: int) -> torch.Tensor:
        return self.feature_extractor.frame_mask(torch.tensor([samples]), samples)  # on the CPU: no GPU sync

    def _real_columns(self, batch: int, samples: int, tokens: int) -> torch.Tensor | None:
        config = self.model.config
        num_columns = tokens // config.num_mel_patches
        frames = self._frame_mask(samples)[0, : num_columns * config.patch_size]
        columns = frames.view(num_columns, config.patch_size).all(dim=1)
        return None if bool(columns.all()) else columns.expand(batch, -1).to(self.device)


def _cut(model: Any, num_layers: int) -> Any:
    """The first layers of a model, on the same parameters."""
    if num_layers == model.config.num_hidden_layers:
        return model
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = num_layers
    return type(model).from_pretrained(None, config=config, state_dict=model.state_dict(), dtype=model.dtype)
