"""BEATs: an audio encoder over 16 x 16 patches of a log-mel spectrogram, with gated relative positions.

Chen et al., "BEATs: Audio Pre-Training with Acoustic Tokenizers", ICML 2023. The gate is that of WavLM (Chen et al.,
2022), the deep norm that of Wang et al., "DeepNet: Scaling Transformers to 1,000 Layers", 2022.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .configuration_beats import BeatsConfig
from .gated_attention_beats import gated_attention
from .modeling_encoder import (
    EncoderClassifierOutput,
    check_inputs,
    classifier_output,
    eager_attention_forward,
    embed_patches,
    layers_kept,
    real_frames,
    real_patches,
    skip_layer,
    unused_parameters,
)
from .positions_beats import BeatsPositionalConvEmbedding, BeatsRelativePositionBias


def scale_gradient(hidden_states: torch.Tensor, factor: float) -> torch.Tensor:
    """The same values, with a gradient that is multiplied by `factor`."""
    constant = hidden_states.detach()
    return constant + factor * (hidden_states - constant)


class BeatsPatchEmbeddings(nn.Module):
    """[batch, frames, mel bins] -> [batch, time * F, hidden], time slow and frequency fast."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        size, width = config.patch_size, config.patch_embed_size
        self.projection = nn.Conv2d(1, width, kernel_size=size, stride=size, bias=config.conv_bias)
        self.layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.linear = nn.Linear(width, config.hidden_size) if width != config.hidden_size else nn.Identity()
        self.dropout = nn.Dropout(config.input_dropout)

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        patches = embed_patches(self.projection, input_values)
        return self.dropout(self.linear(self.layer_norm(patches)))


class BeatsAttention(nn.Module):
    """Multi-head attention with a relative position bias that every query may damp or strengthen."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.config = config
        self.num_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.scaling = self.head_dim**-0.5
        self.is_causal = False
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)
        if config.gru_rel_pos:
            self.gate_linear = nn.Linear(self.head_dim, 8)
            self.gate_scale = nn.Parameter(torch.ones(1, self.num_heads, 1, 1))

    def gate(self, query: torch.Tensor) -> torch.Tensor:
        """Factor of the position bias for each query, in float32: [batch, heads, tokens, dim] -> [..., 1]."""
        with torch.autocast(query.device.type, enabled=False):
            # Two gates, each the sum of four outputs of the linear layer.
            outputs = self.gate_linear(query.to(self.gate_scale.dtype)).float()
            gates = outputs.unflatten(-1, (2, 4)).sum(dim=-1).sigmoid()
            reset, update = gates.unbind(dim=-1)
            return (reset * (update * self.gate_scale.float().squeeze(-1) - 1.0) + 2.0).unsqueeze(-1)

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_bias: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch, tokens, width = hidden_states.shape
        shape = (batch, tokens, self.num_heads, self.head_dim)
        query = self.q_proj(hidden_states).view(shape).transpose(1, 2)
        key = self.k_proj(hidden_states).view(shape).transpose(1, 2)
        value = self.v_proj(hidden_states).view(shape).transpose(1, 2)
        dropout = self.config.attention_dropout if self.training else 0.0
        # TorchScript records fused kernels wrong.
        implementation = "eager" if torch.jit.is_tracing() else self.config._attn_implementation
        if implementation == "sdpa" and query.device.type == "cpu":
            plain = attention_mask is None and dropout == 0 and not torch.compiler.is_compiling()
            if plain and position_bias is not None and self.config.gru_rel_pos:
                gate, position_bias = self.gate(query).to(query.dtype), position_bias.to(query.dtype)
                output = gated_attention(query, key, value, gate, position_bias, self.scaling)
                return self.out_proj(output.reshape(batch, tokens, width)), None
            if torch.is_grad_enabled():
                # The fused kernel of the CPU has no gradient of the bias; torch's fallback is slower than ours.
                implementation = "eager"
        if position_bias is not None:
            position_bias = position_bias.to(query.dtype)
            if self.config.gru_rel_pos:
                position_bias = self.gate(query).to(query.dtype) * position_bias
            position_bias = position_bias.expand(batch, -1, -1, -1)
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(implementation, eager_attention_forward)
        output, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            position_bias=position_bias,
            dropout=dropout,
            scaling=self.scaling,
            **kwargs,
        )
        return self.out_proj(output.reshape(batch, tokens, width)), weights


class BeatsFeedForward(nn.Module):
    """Two linear layers, or a swish-gated unit and one linear layer (`hidden_act="glu"`)."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.gated = config.hidden_act == "glu"
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size * (2 if self.gated else 1))
        self.activation = ACT2FN["swish" if self.gated else config.hidden_act]
        self.dropout = nn.Dropout(config.activation_dropout)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = self.fc1(hidden_states)
        if self.gated:
            content, gate = hidden_states.chunk(2, dim=-1)
            hidden_states = content * self.activation(gate)
        else:
            hidden_states = self.activation(hidden_states)
        return self.fc2(self.dropout(hidden_states))


class BeatsLayer(GradientCheckpointingLayer):
    """A transformer layer: post-norm with deep-norm residuals, or pre-norm."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__()
        self.layer_norm_first = config.layer_norm_first
        self.gradient_decay = config.layer_wise_gradient_decay_ratio
        self.residual_weight = (2 * config.full_depth) ** 0.25 if config.deep_norm else 1.0
        self.attention = BeatsAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = BeatsFeedForward(config)
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_bias: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        keep: torch.Tensor | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """One layer.

        Args:
            hidden_states: [batch, tokens, hidden].
            position_bias: [1, heads, tokens, tokens] before the gate, or None.
            attention_mask: as `create_bidirectional_mask` gives it, or None.
            keep: [batch] bool, False where a clip skips this layer; None keeps all.
        """
        layer_input = hidden_states
        if self.gradient_decay != 1 and torch.is_grad_enabled():
            hidden_states = scale_gradient(hidden_states, self.gradient_decay)
        if self.layer_norm_first:
            attended, _ = self.attention(self.attention_norm(hidden_states), position_bias, attention_mask, **kwargs)
            hidden_states = hidden_states + self.dropout(attended)
            hidden_states = hidden_states + self.dropout(self.feed_forward(self.final_norm(hidden_states)))
        else:
            attended, _ = self.attention(hidden_states, position_bias, attention_mask, **kwargs)
            hidden_states = torch.add(self.dropout(attended), hidden_states, alpha=self.residual_weight)
            hidden_states = self.attention_norm(hidden_states)
            expanded = self.dropout(self.feed_forward(hidden_states))
            hidden_states = self.final_norm(torch.add(expanded, hidden_states, alpha=self.residual_weight))
        return skip_layer(keep, hidden_states, layer_input)


class BeatsPreTrainedModel(PreTrainedModel):
    """Initialisation and what the models of the family have in common."""

    config: BeatsConfig
    config_class = BeatsConfig
    base_model_prefix = "beats"
    main_input_name = "input_values"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _input_embed_layer = "patch_embeddings"
    _no_split_modules = ("BeatsLayer",)
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_flash_attn = False  # it takes no additive bias
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": BeatsLayer, "attentions": BeatsAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        config = self.config
        if isinstance(module, BeatsPositionalConvEmbedding):
            norms, directions = (
                module.conv.parametrizations.weight.original0,
                module.conv.parametrizations.weight.original1,
            )
            init.normal_(directions, std=math.sqrt(4.0 / (config.num_conv_pos_embeddings * config.hidden_size)))
            init.copy_(norms, directions.norm(dim=(0, 1), keepdim=True))
        elif isinstance(module, BeatsAttention):
            if config.gru_rel_pos:
                init.ones_(module.gate_scale)
            if config.deep_norm:
                init.xavier_normal_(module.q_proj.weight)
                init.xavier_normal_(module.k_proj.weight)
                init.xavier_normal_(module.v_proj.weight, gain=self._deep_norm_gain)
                init.xavier_normal_(module.out_proj.weight, gain=self._deep_norm_gain)
        elif isinstance(module, BeatsFeedForward) and config.deep_norm:
            init.xavier_normal_(module.fc1.weight, gain=self._deep_norm_gain)
            init.xavier_normal_(module.fc2.weight, gain=self._deep_norm_gain)

    def _initialize_weights(self, module: nn.Module, is_custom_code: bool = False) -> None:
        # For code outside of transformers the library passes over modules that have no parameters themselves, so that
        # loaded weights are not overwritten. What is above initialises such modules too, and leaves loaded ones alone.
        super()._initialize_weights(module)

    @property
    def _deep_norm_gain(self) -> float:
        return (8 * self.config.full_depth) ** -0.25


class BeatsModel(BeatsPreTrainedModel):
    """The BEATs encoder: log-mel features in, one vector per patch out."""

    def __init__(self, config: BeatsConfig) -> None:
        config.check()
        super().__init__(config)
        self.patch_embeddings = BeatsPatchEmbeddings(config)
        self.position_conv = BeatsPositionalConvEmbedding(config)
        # Post-norm: after the positional convolution. Pre-norm: after the last layer, which a cut model does not have.
        has_norm = not config.layer_norm_first or config.num_hidden_layers == config.full_depth
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if has_norm else nn.Identity()
        self.dropout = nn.Dropout(config.hidden_dropout)
        self.position_bias = BeatsRelativePositionBias(config) if config.relative_position_embedding else None
        self.layers = nn.ModuleList(BeatsLayer(config) for _ in range(config.num_hidden_layers))
        self._keys_to_ignore_on_load_unexpected = unused_parameters(config) + ([] if has_norm else ["layer_norm"])
        self.post_init()

    def token_mask(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """Which tokens are real.

        Args:
            attention_mask: [batch, frames], nonzero at real frames.

        Returns:
            [batch, tokens] bool. By the rule "conv" a token is real if its 16 frames are. The rule "fold" is that of
            the original: frames are shared out evenly among all tokens in their order, as if a token's frequency were
            time, and a token is real if one of its frames is.
        """
        if self.config.padding_rule == "conv":
            return real_patches(self.config, attention_mask)
        frames = attention_mask.shape[1]
        tokens = frames // self.config.patch_size * self.config.num_mel_patches
        token = torch.arange(tokens, device=attention_mask.device)
        return real_frames(attention_mask, token * (frames // tokens), frames // tokens) > 0

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        layer_keep: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        r"""Encode a batch.

        Args:
            input_values: [batch, frames, mel bins], normalised log-mel features of `BeatsFeatureExtractor`; float32
                also for a half-precision model.
            attention_mask: [batch, frames], 1 at real frames, 0 at padding; None: all frames are real.
            layer_keep: [batch, layers] bool, False where a clip skips a layer. None: all layers in evaluation, drawn
                with probability `config.layerdrop` in training.
            kwargs: `output_hidden_states` (True, or the indices to keep), `output_attentions`, `return_dict`.

        Returns:
            `last_hidden_state` [batch, time * F, hidden], token index = time * F + frequency, and `hidden_states`,
            where index 0 is the input of layer 1 and index k the output of layer k (before the closing norm of a
            pre-norm model, which `last_hidden_state` has passed).

        Raises:
            ValueError: too few or too many frames, too few mel bins, or a mask or `layer_keep` of another shape.
        """
        check_inputs(self.config, input_values, attention_mask, layer_keep)
        hidden_states = self.patch_embeddings(input_values)
        batch, tokens, _ = hidden_states.shape
        if attention_mask is not None:
            attention_mask = self.token_mask(attention_mask)
            hidden_states = hidden_states * attention_mask.unsqueeze(-1).to(hidden_states.dtype)
        attention_mask = create_bidirectional_mask(self.config, hidden_states, attention_mask)
        hidden_states = hidden_states + self.position_conv(hidden_states)
        if not self.config.layer_norm_first:
            hidden_states = self.layer_norm(hidden_states)
        hidden_states = self.dropout(hidden_states)
        position_bias = None if self.position_bias is None else self.position_bias(tokens, hidden_states.device)
        keeps = layers_kept(layer_keep, self.config, batch, self.training, hidden_states.device)
        for layer, keep in zip(self.layers, keeps, strict=True):
            hidden_states = layer(hidden_states, position_bias, attention_mask, keep, **kwargs)
        if self.config.layer_norm_first:
            hidden_states = self.layer_norm(hidden_states)
        return BaseModelOutput(last_hidden_state=hidden_states)


class BeatsForAudioClassification(BeatsPreTrainedModel):
    """BEATs with a linear head on the mean of its tokens."""

    def __init__(self, config: BeatsConfig) -> None:
        super().__init__(config)
        self.beats = BeatsModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        layer_keep: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> EncoderClassifierOutput:
        r"""Classify a batch.

        Args:
            input_values: [batch, frames, mel bins], as for [`BeatsModel`].
            attention_mask: [batch, frames]; padded tokens are left out of the mean.
            labels: multi-hot [batch, labels] float with `problem_type="multi_label_classification"`, class indices
                [batch] with "single_label_classification".
            layer_keep: [batch, layers] bool, as for [`BeatsModel`].
            kwargs: `output_hidden_states`, `output_attentions`, `return_dict`.

        Raises:
            ValueError: as [`BeatsModel`], or labels that do not fit `config.problem_type`.
        """
        outputs = self.beats(input_values, attention_mask=attention_mask, layer_keep=layer_keep, **kwargs)
        tokens = self.dropout(outputs.last_hidden_state)
        if attention_mask is None:
            pooled = tokens.mean(dim=1)
        else:
            real = self.beats.token_mask(attention_mask).unsqueeze(-1).to(tokens.dtype)
            pooled = (tokens * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        logits = self.classifier(pooled)
        return classifier_output(self, outputs, logits, labels)


__all__ = ["BeatsForAudioClassification", "BeatsModel", "BeatsPreTrainedModel"]
