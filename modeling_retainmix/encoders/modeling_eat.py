"""EAT: a transformer over 16 x 16 patches of a log-mel spectrogram, with fixed positions and a class token.

Chen et al., "EAT: Self-Supervised Pre-Training with Efficient Audio Transformer", IJCAI 2024. SSLAM (Alex et al.,
ICLR 2025) is the same network with other weights.
"""

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

from .configuration_eat import EatConfig
from .modeling_encoder import (
    EncoderClassifierOutput,
    check_inputs,
    classifier_output,
    eager_attention_forward,
    embed_patches,
    layers_kept,
    real_patches,
    skip_layer,
    unused_parameters,
)


def position_table(time_patches: int, mel_patches: int, width: int) -> torch.Tensor:
    """Fixed positions of time * F + frequency: sine and cosine of the frequency index, then of the time index.

    Returns:
        [1, time_patches * mel_patches, width] float32.
    """
    quarter = width // 4
    rates = 1.0 / 10_000 ** (torch.arange(quarter, dtype=torch.float32) / quarter)
    time = torch.arange(time_patches, dtype=torch.float32).repeat_interleave(mel_patches)[:, None] * rates
    frequency = torch.arange(mel_patches, dtype=torch.float32).repeat(time_patches)[:, None] * rates
    return torch.cat([frequency.sin(), frequency.cos(), time.sin(), time.cos()], dim=1).unsqueeze(0)


def threshold_tanh(tokens: torch.Tensor) -> torch.Tensor:
    """Clear the low values of tokens and damp the high ones: x < 0.1 becomes 0, x > 0.5 becomes tanh(x).

    Wilkinghoff et al. (arXiv 2603.04605, section IV-B) found it to be needed for distances of frozen EAT embeddings:
    65.6 against 62.9 with mean pooling, over the DCASE sets of 2020 and 2022 to 2025. They describe it in one
    sentence, as a preparation of the extracted embeddings: a hard threshold of 0.1 for low components and a hyperbolic
    tangent for those above 0.5. That is read here so: it applies to what the encoder puts out, token by token, before
    any pooling, and not to its input; low values are those below 0.1 with their sign, so that all negative ones are
    cleared; and the tangent is that of the value itself, so that the result falls from 0.5 to 0.46 at the step.

    Args:
        tokens: [..., hidden] float.

    Returns:
        Values of the same shape and dtype.
    """
    cleared = torch.where(tokens < 0.1, torch.zeros_like(tokens), tokens)
    return torch.where(cleared > 0.5, cleared.tanh(), cleared)


class EatEmbeddings(nn.Module):
    """[batch, frames, mel bins] -> [batch, 1 + time * F, hidden]: patches with positions behind a class token."""

    positions: torch.Tensor

    def __init__(self, config: EatConfig) -> None:
        super().__init__()
        size, width = config.patch_size, config.hidden_size
        self.projection = nn.Conv2d(1, width, kernel_size=size, stride=size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        # Saved with the weights: published checkpoints hold it rounded to float16.
        self.register_buffer("positions", position_table(config.max_time_patches, config.num_mel_patches, width))
        # It stands before the layers; EAT has no norm behind them.
        self.layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, input_values: torch.Tensor) -> torch.Tensor:
        patches = embed_patches(self.projection, input_values)
        patches = patches + self.positions[:, : patches.shape[1]].to(patches.dtype)
        tokens = torch.cat([self.class_token.expand(patches.shape[0], -1, -1).to(patches.dtype), patches], dim=1)
        return self.dropout(self.layer_norm(tokens))


class EatAttention(nn.Module):
    """Multi-head attention with one projection for queries, keys and values."""

    def __init__(self, config: EatConfig) -> None:
        super().__init__()
        self.config = config
        self.num_heads = config.num_attention_heads
        self.head_dim = config.hidden_size // config.num_attention_heads
        self.is_causal = False
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch, tokens, width = hidden_states.shape
        qkv = self.qkv(hidden_states).view(batch, tokens, 3, self.num_heads, self.head_dim)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(dim=0)
        implementation = "eager" if torch.jit.is_tracing() else self.config._attn_implementation
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(implementation, eager_attention_forward)
        dropout = self.config.attention_dropout if self.training else 0.0
        options = {"dropout": dropout, "scaling": self.head_dim**-0.5, **kwargs}
        output, weights = attend(self, query, key, value, attention_mask, **options)
        return self.out_proj(output.reshape(batch, tokens, width)), weights


class EatFeedForward(nn.Module):
    """Two linear layers."""

    def __init__(self, config: EatConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACT2FN[config.hidden_act]
        self.dropout = nn.Dropout(config.activation_dropout)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.dropout(self.activation(self.fc1(hidden_states))))


class EatLayer(GradientCheckpointingLayer):
    """A post-norm transformer layer."""

    def __init__(self, config: EatConfig) -> None:
        super().__init__()
        self.attention = EatAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = EatFeedForward(config)
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None,
        keep: torch.Tensor | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """One layer.

        Args:
            hidden_states: [batch, tokens, hidden].
            attention_mask: as `create_bidirectional_mask` gives it, or None.
            keep: [batch] bool, False where a clip skips this layer; None keeps all.
        """
        layer_input = hidden_states
        attended, _ = self.attention(hidden_states, attention_mask, **kwargs)
        hidden_states = self.attention_norm(hidden_states + self.dropout(attended))
        hidden_states = self.final_norm(hidden_states + self.dropout(self.feed_forward(hidden_states)))
        return skip_layer(keep, hidden_states, layer_input)


class EatPreTrainedModel(PreTrainedModel):
    """Initialisation and what the models of the family have in common."""

    config: EatConfig
    config_class = EatConfig
    base_model_prefix = "eat"
    main_input_name = "input_values"
    input_modalities = ("audio",)
    supports_gradient_checkpointing = True
    _input_embed_layer = "embeddings"
    _no_split_modules = ("EatEmbeddings", "EatLayer")
    _supports_sdpa = True
    _supports_flex_attn = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": EatLayer, "attentions": EatAttention}  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, EatEmbeddings):
            config = self.config
            init.normal_(module.class_token, std=config.initializer_range)
            init.copy_(
                module.positions, position_table(config.max_time_patches, config.num_mel_patches, config.hidden_size)
            )


class EatModel(EatPreTrainedModel):
    """The EAT encoder: log-mel features in, a class token and one vector per patch out."""

    def __init__(self, config: EatConfig) -> None:
        config.check()
        super().__init__(config)
        self.embeddings = EatEmbeddings(config)
        self.layers = nn.ModuleList(EatLayer(config) for _ in range(config.num_hidden_layers))
        self._keys_to_ignore_on_load_unexpected = [*unused_parameters(config), r"^norm\."]
        self.post_init()

    def token_mask(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """Which tokens are real: the class token, and patches whose 16 frames all are.

        Args:
            attention_mask: [batch, frames], nonzero at real frames.

        Returns:
            [batch, tokens] bool.
        """
        patches = real_patches(self.config, attention_mask)
        return torch.cat([torch.ones_like(patches[:, :1]), patches], dim=1)

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        layer_keep: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        r"""Encode a batch.

        Args:
            input_values: [batch, frames, mel bins], normalised log-mel features of `EatFeatureExtractor`; float32 also
                for a half-precision model.
            attention_mask: [batch, frames], 1 at real frames; padded patches are then no keys of the attention. The
                original has no such mask: to equal it, leave this None.
            layer_keep: [batch, layers] bool, False where a clip skips a layer. None: all layers in evaluation, drawn
                with probability `config.layerdrop` in training.
            kwargs: `output_hidden_states` (True, or the indices to keep), `output_attentions`, `return_dict`.

        Returns:
            `last_hidden_state` [batch, 1 + time * F, hidden], the class token first, then index 1 + time * F +
            frequency, and `hidden_states`, where index 0 is the input of layer 1 and index k the output of layer k;
            all of them behind `config.output_activation`.

        Raises:
            ValueError: too few or too many frames, too few mel bins, or a mask or `layer_keep` of another shape.
        """
        outputs = self._encode(input_values, attention_mask, layer_keep, return_dict=True, **kwargs)
        if self.config.output_activation is not None:
            outputs.last_hidden_state = threshold_tanh(outputs.last_hidden_state)
            if outputs.hidden_states is not None:
                states = outputs.hidden_states
                outputs.hidden_states = tuple(None if state is None else threshold_tanh(state) for state in states)
        return outputs

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def _encode(
        self,
        input_values: torch.Tensor,
        attention_mask: torch.Tensor | None,
        layer_keep: torch.Tensor | None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """The layers, without the output's activation; arguments as in `forward`."""
        check_inputs(self.config, input_values, attention_mask, layer_keep)
        hidden_states = self.embeddings(input_values)
        if attention_mask is not None:
            attention_mask = self.token_mask(attention_mask)
        attention_mask = create_bidirectional_mask(self.config, hidden_states, attention_mask)
        keeps = layers_kept(layer_keep, self.config, hidden_states.shape[0], self.training, hidden_states.device)
        for layer, keep in zip(self.layers, keeps, strict=True):
            hidden_states = layer(hidden_states, attention_mask, keep, **kwargs)
        return BaseModelOutput(last_hidden_state=hidden_states)


class EatForAudioClassification(EatPreTrainedModel):
    """EAT with a linear head on the mean of its patches, or on its class token."""

    def __init__(self, config: EatConfig) -> None:
        if config.output_activation is not None:
            raise ValueError(
                f"output_activation={config.output_activation!r} is for frozen encoders, a head reads tokens as they "
                "are: load the classifier with output_activation=None"
            )
        super().__init__(config)
        self.eat = EatModel(config)
        width = config.hidden_size
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps) if config.classifier_norm else nn.Identity()
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(width, config.num_labels)
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
            input_values: [batch, frames, mel bins], as for [`EatModel`].
            attention_mask: [batch, frames], as for [`EatModel`]; padded patches are left out of the mean.
            labels: multi-hot [batch, labels] float with `problem_type="multi_label_classification"`, class indices
                [batch] with "single_label_classification".
            layer_keep: [batch, layers] bool, as for [`EatModel`].
            kwargs: `output_hidden_states`, `output_attentions`, `return_dict`.

        Raises:
            ValueError: as [`EatModel`], or labels that do not fit `config.problem_type`.
        """
        outputs = self.eat(input_values, attention_mask=attention_mask, layer_keep=layer_keep, **kwargs)
        tokens = self.dropout(outputs.last_hidden_state)
        if self.config.classifier_pooling == "class_token":
            pooled = tokens[:, 0]
        elif attention_mask is None:
            pooled = tokens[:, 1:].mean(dim=1)
        else:
            real = self.eat.token_mask(attention_mask)[:, 1:, None].to(tokens.dtype)
            pooled = (tokens[:, 1:] * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)
        logits = self.classifier(self.norm(pooled))
        return classifier_output(self, outputs, logits, labels)


__all__ = ["EatForAudioClassification", "EatModel", "EatPreTrainedModel"]
