"""From waveforms to pooled embeddings of chosen layers, in one batched forward of an encoder."""

import copy
import os
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

import torch
from transformers import AutoConfig, AutoFeatureExtractor, AutoModel

from modeling_retainmix.detection.pooling import DEFAULT_GAMMA, DEFAULT_P, PoolingMode, pool_tokens
from modeling_retainmix.encoders.fbank import FFT_SIZE, FRAME_LENGTH, SAMPLING_RATE, mel_filters
from modeling_retainmix.pretrained import check_encoder_config, load_pretrained


class ClipTokens(NamedTuple):
    """The output of an encoder for a batch of clips, before pooling.

    Attributes:
        hidden: {layer: [batch, T * F, D] float32}, without class token.
        levels: [batch, T, F] mean of the normalized log-mel features in each patch.
        real_columns: [T] bool on the CPU, which time columns hold no padding: their frames are all real.
    """

    hidden: dict[int, torch.Tensor]
    levels: torch.Tensor
    real_columns: torch.Tensor


def chosen_layers(layer: int | tuple[int, ...] | None, config: Any) -> tuple[int, ...]:
    """Return the layers to read of an encoder: those given, or its `embedding_layer`, or else its last one."""
    if layer is None:
        chosen = getattr(config, "embedding_layer", None)
        return (config.num_hidden_layers if chosen is None else chosen,)
    return (layer,) if isinstance(layer, int) else layer


def load_encoder(
    name: str | os.PathLike[str],
    layer: int | tuple[int, ...] | None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Load an encoder, of which no layer above the highest one that is read, and its feature extractor.

    Args:
        name: folder or Hub name.
        layer: as in `chosen_layers`.
        revision: branch, tag or commit on the Hub; None: the main branch.
        trust_remote_code: run code from the Hub.

    Raises:
        FileNotFoundError: the weights are missing.
        ValueError: a layer that the encoder does not have, a model of another kind, or weights that are damaged or
            incomplete; the message names the model and the first tensor that is missing.
    """
    source: dict[str, Any] = {"revision": revision, "trust_remote_code": trust_remote_code}
    config = AutoConfig.from_pretrained(name, **source)
    check_encoder_config(config, name)
    depth = max(chosen_layers(layer, config))
    if depth > config.num_hidden_layers:
        raise ValueError(f"layer={depth}: {name} has {config.num_hidden_layers} layers")
    model = load_pretrained(AutoModel, name, num_hidden_layers=max(1, depth), **source)
    return model, AutoFeatureExtractor.from_pretrained(name, **source)


class Embedder:
    """Embed clips with a frozen encoder.

    Layers above the highest one that is read are not computed. The model is left as it is: a
    cut copy shares its parameters.

    Args:
        model: an encoder of transformers whose config has `num_mel_patches`, `num_prefix_tokens` and `patch_size` and
            whose `hidden_states[k]` is the output of layer k.
        feature_extractor: its feature extractor, with `extract_features` and `frame_mask`.
        layers: indices into `hidden_states`.
        device: where to compute.
        pooling: mode of `pool_tokens`.
        pooling_p, rdp_gamma: exponents p and gamma of `pool_tokens`.
        max_frequency: in Hz; mel bins that reach higher are set to 0, the mean of the extractor. None: all are read.

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
        pooling_p: float = DEFAULT_P,
        rdp_gamma: float = DEFAULT_GAMMA,
        max_frequency: float | None = None,
    ) -> None:
        self.layers = sorted(set(layers))
        depth = model.config.num_hidden_layers
        if not self.layers or not 0 <= self.layers[0] <= self.layers[-1] <= depth:
            raise ValueError(f"layers={self.layers} is not valid for a model of {depth} layers: use 0 to {depth}")
        self.device = torch.device(device)
        self.model = _cut(model, max(1, self.layers[-1])).to(self.device).eval()
        self.feature_extractor = feature_extractor
        self.pooling, self.pooling_p, self.rdp_gamma = pooling, pooling_p, rdp_gamma
        self._read_bins = None if max_frequency is None else _bins_below(max_frequency, feature_extractor.feature_size)

    def embed(self, waveforms: torch.Tensor, features: torch.Tensor | None = None) -> dict[Hashable, torch.Tensor]:
        """Embed a batch of clips of one length.

        Args:
            waveforms: [batch, samples] float in [-1, 1] at the feature extractor's sampling rate, on any device.
            features: [batch, frames, mel bins] of the same clips, on the embedder's device, if an equal feature
                extractor has made them already.

        Returns:
            {layer: [batch, dim] float32} on the embedder's device; dim = F * D with time-mean pooling.
        """
        return self.pool(self.tokens(waveforms, features))

    @torch.inference_mode()
    def tokens(self, waveforms: torch.Tensor, features: torch.Tensor | None = None) -> ClipTokens:
        """Compute the tokens of a batch before pooling; arguments as in `embed`."""
        waveforms, config = waveforms.to(self.device, torch.float32), self.model.config
        if features is None:
            features = self.feature_extractor.extract_features(waveforms)
        if self._read_bins is not None:
            features = features.clone()
            features[..., self._read_bins :] = 0
        hidden_states = self.model(features, output_hidden_states=self.layers).hidden_states
        hidden = {layer: hidden_states[layer][:, config.num_prefix_tokens :].float() for layer in self.layers}
        columns = hidden[self.layers[0]].shape[1] // config.num_mel_patches
        patches = features[:, : columns * config.patch_size].unflatten(1, (columns, config.patch_size))
        levels = patches.unflatten(3, (config.num_mel_patches, config.patch_size)).mean(dim=(2, 4))
        frames = self._frame_mask(waveforms.shape[1])[0, : columns * config.patch_size]
        return ClipTokens(hidden, levels, frames.view(columns, config.patch_size).all(dim=1))

    @torch.inference_mode()
    def pool(self, tokens: ClipTokens) -> dict[Hashable, torch.Tensor]:
        """Pool tokens to embeddings, as `embed` returns them."""
        num_freq, real = self.model.config.num_mel_patches, tokens.real_columns
        mask = None if bool(real.all()) else real.to(self.device).expand(len(tokens.levels), -1)
        options = (self.pooling, mask, self.pooling_p, self.rdp_gamma)
        return {layer: pool_tokens(hidden, num_freq, *options) for layer, hidden in tokens.hidden.items()}

    def check_length(self, samples: int, name: str) -> None:
        """Check that a clip fills at least one time column of tokens.

        Raises:
            ValueError: it does not; the message gives the clip's name.
        """
        if samples < FRAME_LENGTH or int(self._frame_mask(samples).sum()) < self.model.config.patch_size:
            raise ValueError(
                f"{name} has {samples} samples at {self.feature_extractor.sampling_rate} Hz, too few for one token of "
                "the encoder: leave it out or join it with others"
            )

    def _frame_mask(self, samples: int) -> torch.Tensor:
        return self.feature_extractor.frame_mask(torch.tensor([samples]), samples)  # on the CPU: no GPU sync


def _bins_below(frequency: float, num_bins: int) -> int:
    """Return the number of mel filters that do not reach above a frequency in Hz."""
    first = int(frequency * FFT_SIZE / SAMPLING_RATE) + 1  # the first bin of the spectrum above it
    reaches_higher = (mel_filters(num_bins, "cpu")[first:] > 0).any(dim=0)
    return int(reaches_higher.long().argmax()) if bool(reaches_higher.any()) else num_bins


def _cut(model: Any, num_layers: int) -> Any:
    """Return the first layers of a model, on the same parameters."""
    if num_layers == model.config.num_hidden_layers:
        return model
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = num_layers
    return type(model).from_pretrained(None, config=config, state_dict=model.state_dict(), dtype=model.dtype)
