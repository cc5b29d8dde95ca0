"""From waveforms to pooled embeddings of chosen layers, in one batched forward of an encoder.

A layer is an index into `hidden_states`; the name of what needs no encoder: "log-mel", the statistics of each patch
of the features with the clip's mean taken away, "level", that mean of the clip as recorded, and "recorded", the
statistics with that mean; or "change-K" and "change-recorded", by how much the tokens of layer K or those statistics
change from one to the next.
"""

import bisect
import copy
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from modeling_retainmix.detection.level_cells import CELL, heard_bins, level_cells
from modeling_retainmix.detection.load_encoder import built_layers
from modeling_retainmix.detection.pooling import (
    DEFAULT_GAMMA,
    DEFAULT_P,
    PoolingMode,
    keeps_bands,
    pool_tokens,
    values_per_band,
)
from modeling_retainmix.detection.vector_layout import (
    BLOCK_NAMES,
    CHANGE_RECORDED,
    LEVEL,
    LOG_MEL,
    RECORDED,
    Layer,
    VectorLayout,
    block_depth,
    block_indices,
    changing_layer,
    ordered_blocks,
    reads_recorded,
)
from modeling_retainmix.encoders.configuration_log_mel import NUM_STATISTICS
from modeling_retainmix.encoders.fbank import FFT_SIZE, FRAME_LENGTH, FRAME_SHIFT, SAMPLING_RATE, mel_filters
from modeling_retainmix.encoders.feature_extraction_encoder import mean_level, set_clip_level
from modeling_retainmix.encoders.modeling_log_mel import patch_statistics


class ClipTokens(NamedTuple):
    """The output of an encoder for a batch of clips, before pooling.

    Attributes:
        hidden: {layer: [batch, T * F, D] float32}, without class token; D differs between layers and other blocks.
        features: [batch, frames, mel bins] the normalized log-mel features that the encoder heard.
        audible: the same with the clip's level, where the embedder hears it.
        heard: [mel bins] bool, those that are read and whose filters are not empty.
        patch_size: frames and mel bins of a patch.
        num_real: frames that hold no padding; it lies behind the clip.
    """

    hidden: dict[Layer, torch.Tensor]
    features: torch.Tensor
    audible: torch.Tensor
    heard: torch.Tensor
    patch_size: int
    num_real: int

    @property
    def real_columns(self) -> torch.Tensor:
        """Which time columns hold no padding, their frames being all real: [T] bool on the CPU."""
        columns = torch.arange(self.features.shape[1] // self.patch_size)
        return (columns + 1) * self.patch_size <= self.num_real

    @property
    def levels(self) -> torch.Tensor:
        """Mean of the features in each patch, [batch, T, F]."""
        return level_cells(self.features, self.patch_size)

    @property
    def cells(self) -> torch.Tensor:
        """Mean of `audible` in the finer cells of `level_cells`, [batch, T', B], without padding."""
        return level_cells(self.audible[:, : self.num_real], CELL, self.heard)


def layout_of(layers: Sequence[Layer], config: Any, pooling: PoolingMode = "time_mean") -> VectorLayout:
    """Return how the embeddings of these layers of an encoder lie in one vector.

    Blocks are scaled if one of them is not a layer: its values are of another unit. Changes lie behind the others.
    """
    width: int = config.hidden_size
    statistics = NUM_STATISTICS * config.patch_size
    sizes: dict[Layer, int] = {LOG_MEL: statistics, LEVEL: 1, RECORDED: statistics, CHANGE_RECORDED: statistics}
    return VectorLayout(
        tuple(values_per_band(pooling, sizes.get(layer, width)) for layer in layers),
        config.num_mel_patches if keeps_bands(pooling) else 1,
        is_scaled=len(layers) > 1 and any(isinstance(layer, str) for layer in layers),
        num_changes=sum(changing_layer(layer) is not None for layer in layers),
    )


def token_changes(tokens: torch.Tensor, num_freq: int) -> torch.Tensor:
    """Return by how much tokens change from one time column to the next, |x_t - x_(t-1)|.

    The mean over time of a clip forgets how fast its sound fluctuates; the mean of its changes holds it. The first
    column, which none precedes, is as the second one; of a single column the changes are 0.

    Args:
        tokens: [batch, T * F, D]; token index = time * F + frequency.
        num_freq: F, patches along the frequency axis.

    Returns:
        [batch, T * F, D], none negative.
    """
    before_first = torch.cat([tokens[:, num_freq:], tokens], dim=1)[:, :num_freq]  # no branch, so it can be exported
    return (tokens - torch.cat([before_first, tokens[:, :-num_freq]], dim=1)).abs()


class Embedder:
    """Embed clips with a frozen encoder.

    Layers above the highest one that is read are not computed. The model is left as it is: a cut copy shares its
    parameters.

    Args:
        model: an encoder of transformers whose config has `num_mel_patches`, `num_prefix_tokens` and `patch_size` and
            whose `hidden_states[k]` is the output of layer k.
        feature_extractor: its feature extractor, with `extract_features` and `frame_mask`.
        layers: indices into `hidden_states`, "log-mel", "level", "recorded", "change-recorded", and "change-K" of an
            index K.
        device: where to compute.
        pooling: mode of `pool_tokens`.
        pooling_p, rdp_gamma: exponents p and gamma of `pool_tokens`.
        max_frequency: in Hz; mel bins that reach higher are set to 0, the mean of the extractor. None: all are read.

    Attributes:
        layers: the layers, ascending, then "log-mel", "level" and "recorded", and the changes in the same order.
        indices: into `hidden_states`, of the layers and of those that change.
        layout: of their embeddings, end to end as `join` lays them.
        clip_level: of the feature extractor; None: clips are heard as recorded.

    Raises:
        ValueError: no layer, or one that the model does not have.
    """

    def __init__(
        self,
        model: Any,
        feature_extractor: Any,
        layers: Iterable[Layer],
        device: torch.device | str = "cpu",
        pooling: PoolingMode = "time_mean",
        pooling_p: float = DEFAULT_P,
        rdp_gamma: float = DEFAULT_GAMMA,
        max_frequency: float | None = None,
    ) -> None:
        chosen, depth = set(layers), model.config.num_hidden_layers
        self.layers = ordered_blocks(chosen)
        self.indices = block_indices(chosen)
        is_known = len(self.layers) == len(chosen) and all(0 <= index <= depth for index in self.indices)
        if not self.layers or not is_known:
            raise ValueError(
                f"layers={list(chosen)} is not valid for a model of {depth} layers: use 0 to {depth}, {BLOCK_NAMES}"
            )
        self.device = torch.device(device)
        self.model = _cut(model, built_layers(block_depth(self.layers), model.config)).to(self.device).eval()
        self.feature_extractor = feature_extractor
        self.clip_level = getattr(feature_extractor, "clip_level", None)  # extractors of others have none
        self.pooling, self.pooling_p, self.rdp_gamma = pooling, pooling_p, rdp_gamma
        self._read_bins = None if max_frequency is None else _bins_below(max_frequency, feature_extractor.feature_size)

    @property
    def reads_recorded(self) -> bool:
        """Whether a block is computed of the clip as recorded, before it is moved to `clip_level`."""
        return reads_recorded(self.layers)

    @property
    def hears_level(self) -> bool:
        """Whether how loud a whole clip is moves its embedding."""
        return not {LEVEL, RECORDED}.isdisjoint(self.layers) or (self.clip_level is None and bool(self.indices))

    @property
    def layout(self) -> VectorLayout:
        return layout_of(self.layers, self.model.config, self.pooling)

    def embed(
        self, waveforms: torch.Tensor, features: torch.Tensor | None = None, recorded: torch.Tensor | None = None
    ) -> dict[Hashable, torch.Tensor]:
        """Embed a batch of clips of one length.

        Args:
            waveforms: [batch, samples] float in [-1, 1] at the feature extractor's sampling rate, on any device.
            features: [batch, frames, mel bins] of the same clips, on the embedder's device, if an equal feature
                extractor has made them already.
            recorded: the same before clips are moved to a level (`log_mel`); needed where `reads_recorded`.

        Returns:
            {layer: [batch, dim] float32} on the embedder's device; dim = F * D with time-mean pooling.
        """
        return self.pool(self.tokens(waveforms, features, recorded))

    @torch.inference_mode()
    def tokens(
        self, waveforms: torch.Tensor, features: torch.Tensor | None = None, recorded: torch.Tensor | None = None
    ) -> ClipTokens:
        """Compute the tokens of a batch before pooling; arguments as in `embed`."""
        waveforms = waveforms.to(self.device, torch.float32)
        is_real = self.frame_mask(waveforms.shape[1])
        if recorded is None and self.reads_recorded:
            recorded = self.feature_extractor.log_mel(waveforms)
        features = self.features(waveforms, is_real, features, recorded)
        hidden = self.hidden(features, is_real, recorded)
        audible = self._audible(features, is_real, recorded)
        heard = self._heard_bins(features.shape[2])
        return ClipTokens(hidden, features, audible, heard, self.model.config.patch_size, int(is_real.sum()))

    @torch.inference_mode()
    def cells(self, waveforms: torch.Tensor, size: int = CELL) -> torch.Tensor:
        """Compute the level cells of a batch of clips of one length, without the encoder: [batch, T', B].

        Those of another size are of detectors that were saved without cells: patches of all bins, as the encoder hears
        them.
        """
        waveforms = waveforms.to(self.device, torch.float32)
        is_real = self.frame_mask(waveforms.shape[1])
        recorded = self.feature_extractor.log_mel(waveforms) if self.reads_recorded else None
        features, num_real = self.features(waveforms, is_real, None, recorded), int(is_real.sum())
        if size != CELL:
            return level_cells(features[:, :num_real], size)
        audible = self._audible(features, is_real, recorded)
        return level_cells(audible[:, :num_real], size, self._heard_bins(audible.shape[2]))

    def features(
        self,
        waveforms: torch.Tensor,
        is_real: torch.Tensor,
        features: torch.Tensor | None = None,
        recorded: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute features in the band and at the level that are read; `features` and `recorded` as in `embed`."""
        if features is None and recorded is not None:
            features = set_clip_level(recorded, self.clip_level, is_real.to(self.device))
        elif features is None:
            features = self.feature_extractor.extract_features(waveforms)
        return self._in_band(features, self.clip_level, is_real)

    def hidden(
        self, features: torch.Tensor, is_real: torch.Tensor, recorded: torch.Tensor | None
    ) -> dict[Layer, torch.Tensor]:
        """Compute the tokens of every layer, as `ClipTokens.hidden`; tensors alone decide, so that it can be exported.

        Args:
            features: [batch, frames, mel bins], as `features` gives them.
            is_real: [1, frames] bool, as `frame_mask` gives it.
            recorded: `log_mel` of the same clips where `reads_recorded`.
        """
        config, hidden = self.model.config, dict[Layer, torch.Tensor]()
        if self.indices:
            hidden_states = self.model(features, output_hidden_states=self.indices).hidden_states
            tokens = {index: hidden_states[index][:, config.num_prefix_tokens :].float() for index in self.indices}
            for layer in self.layers:
                changing = changing_layer(layer)
                if isinstance(layer, int):
                    hidden[layer] = tokens[layer]
                elif isinstance(changing, int):
                    hidden[layer] = token_changes(tokens[changing], config.num_mel_patches)
        if LOG_MEL in self.layers:
            hidden[LOG_MEL] = patch_statistics(self._in_band(features, 0.0, is_real), config.patch_size)
        if recorded is not None:
            if LEVEL in self.layers:
                level = mean_level(recorded[..., : self._read_bins], is_real.to(self.device))
                num_tokens = features.shape[1] // config.patch_size * config.num_mel_patches
                hidden[LEVEL] = level[:, None, None].expand(-1, num_tokens, -1)
            if RECORDED in self.layers or CHANGE_RECORDED in self.layers:
                statistics = patch_statistics(self._in_band(recorded, None, is_real), config.patch_size)
                if RECORDED in self.layers:
                    hidden[RECORDED] = statistics
                if CHANGE_RECORDED in self.layers:
                    hidden[CHANGE_RECORDED] = token_changes(statistics, config.num_mel_patches)
        return hidden

    def _heard_bins(self, num_bins: int) -> torch.Tensor:
        return heard_bins(num_bins) & (torch.arange(num_bins) < (self._read_bins or num_bins))

    def _audible(self, features: torch.Tensor, is_real: torch.Tensor, recorded: torch.Tensor | None) -> torch.Tensor:
        """Return the features with the clip's level where it is heard."""
        return features if recorded is None or not self.hears_level else self._in_band(recorded, None, is_real)

    def _in_band(self, features: torch.Tensor, level: float | None, is_real: torch.Tensor) -> torch.Tensor:
        """Set the mean of the mel bins that are read to a level (None: leave it), and the others to 0."""
        if self._read_bins is None and level in (None, self.clip_level):
            return features  # they are there: no copy
        read = set_clip_level(features[..., : self._read_bins], level, is_real.to(self.device))
        return torch.nn.functional.pad(read, (0, features.shape[2] - read.shape[2]))

    @torch.inference_mode()
    def pool(self, tokens: ClipTokens) -> dict[Hashable, torch.Tensor]:
        """Pool tokens to embeddings, as `embed` returns them."""
        num_freq, real = self.model.config.num_mel_patches, tokens.real_columns
        mask = None if bool(real.all()) else real.to(self.device).expand(len(tokens.features), -1)
        options = (self.pooling, mask, self.pooling_p, self.rdp_gamma)
        return {layer: pool_tokens(hidden, num_freq, *options) for layer, hidden in tokens.hidden.items()}

    def join(self, pooled: Mapping[Hashable, torch.Tensor]) -> torch.Tensor:
        """Lay the embeddings of all layers end to end, [batch, D], as `layout` says."""
        return torch.cat([pooled[layer] for layer in self.layers], dim=1)

    def on_cpu(self) -> "Embedder":
        """Return an embedder with the same weights on the CPU."""
        other = copy.copy(self)
        other.device, other.model = torch.device("cpu"), copy.deepcopy(self.model).to("cpu")
        return other

    def check_length(self, samples: int, name: str) -> None:
        """Check that a clip fills at least one time column of tokens.

        Raises:
            ValueError: it does not; the message gives the clip's name.
        """
        if not self._fills_column(samples):
            longest = FRAME_LENGTH + self.model.config.patch_size * FRAME_SHIFT  # that can be too short
            needed = bisect.bisect_left(range(longest), True, key=self._fills_column)
            rate = self.feature_extractor.sampling_rate
            raise ValueError(
                f"{name} is {samples / rate:.4g} s long; at least {needed / rate:.4g} s are needed: leave it out "
                "or join it with others"
            )

    def _fills_column(self, samples: int) -> bool:
        return samples >= FRAME_LENGTH and int(self.frame_mask(samples).sum()) >= self.model.config.patch_size

    def frame_mask(self, samples: int) -> torch.Tensor:
        """Which frames of a clip of so many samples hold no padding, [1, frames] bool on the CPU: no GPU sync."""
        return self.feature_extractor.frame_mask(torch.full((1,), samples), samples)


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
