"""What the models of all encoder families share: outputs, eager attention, layerdrop, cut models, input checks."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.utils import ModelOutput

from .configuration_encoder import EncoderConfig


@dataclass
class EncoderClassifierOutput(ModelOutput):
    """Output of the classification models.

    Attributes:
        loss: scalar, when labels were given.
        logits: [batch, labels].
        last_hidden_state: [batch, tokens, hidden], so that a loss on tokens needs no second forward.
        hidden_states: input of layer 1 and output of every layer, each [batch, tokens, hidden].
        attentions: weights of every layer, each [batch, heads, tokens, tokens]; only of eager attention.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    position_bias: torch.Tensor | None = None,
    scaling: float = 1.0,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention written out, which can return its weights: [batch, heads, tokens, dim] each, softmax in float32.

    Args:
        module: the attention layer; dropout is on if it is training.
        query, key, value: [batch, heads, tokens, dim].
        attention_mask: added to the logits, or bool with False at keys to leave out; [batch, 1, tokens, tokens].
        position_bias: added to the logits, [batch, heads, tokens, tokens].
        scaling: factor of the products of query and key.
        dropout: of the weights.
        kwargs: what other implementations take.

    Returns:
        Output [batch, tokens, heads, dim] and weights [batch, heads, tokens, tokens].
    """
    batch, heads, tokens, dim = query.shape
    flat = (batch * heads, tokens, dim)
    bias = query.new_zeros(1, 1, 1) if position_bias is None else position_bias.reshape(-1, tokens, tokens)
    # The product and the bias in one pass over memory.
    logits = torch.baddbmm(
        bias,
        query.reshape(flat),
        key.reshape(flat).transpose(1, 2),
        alpha=scaling,
    ).view(batch, heads, tokens, tokens)
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        logits = logits.masked_fill(~attention_mask, torch.finfo(logits.dtype).min)
    elif attention_mask is not None:
        logits = logits + attention_mask
    weights = nn.functional.softmax(logits, dim=-1, dtype=torch.float32).to(query.dtype)
    dropped = nn.functional.dropout(weights, p=dropout, training=module.training)
    output = torch.bmm(dropped.view(batch * heads, tokens, tokens), value.reshape(flat))
    return output.view(batch, heads, tokens, dim).transpose(1, 2), weights


def layers_kept(
    layer_keep: torch.Tensor | None, config: EncoderConfig, batch: int, training: bool, device: torch.device
) -> tuple[torch.Tensor | None, ...]:
    """For each layer which clips pass through it, [batch] bool, or None for all of them.

    Without `layer_keep`, a layer is skipped in training where a uniform draw is at most `config.layerdrop`.
    """
    if layer_keep is None and training and config.layerdrop > 0:
        layer_keep = torch.rand(batch, config.num_hidden_layers, dtype=torch.float32, device=device) > config.layerdrop
    return (None,) * config.num_hidden_layers if layer_keep is None else layer_keep.unbind(dim=1)


def skip_layer(keep: torch.Tensor | None, output: torch.Tensor, layer_input: torch.Tensor) -> torch.Tensor:
    """A layer's output, or its input where a clip skips it: every parameter stays in the graph."""
    return output if keep is None else torch.where(keep[:, None, None], output, layer_input)


def unused_parameters(config: EncoderConfig) -> list[str]:
    """Patterns of what a checkpoint may hold beside an encoder: a head, and the layers that a cut leaves out."""
    indices = "|".join(str(index) for index in range(config.num_hidden_layers, config.full_depth))
    return [r"^classifier\."] + ([rf"layers\.({indices})\."] if indices else [])


def embed_patches(projection: nn.Conv2d, input_values: torch.Tensor) -> torch.Tensor:
    """Patches through a convolution: [batch, frames, mel bins] -> [batch, time * F, width], frequency fast."""
    size = projection.kernel_size[0]
    frames, mel_bins = input_values.shape[1:]
    values = input_values.unsqueeze(1).to(projection.weight.dtype)
    if not torch.compiler.is_exporting():
        return projection(values).flatten(2).transpose(1, 2)
    # A further column, which is cut off again: a program with a size that may be 1 would exclude a single column.
    values = nn.functional.pad(values, (0, 0, 0, size))
    patches = projection(values).flatten(2).transpose(1, 2)
    return patches[:, : frames // size * (mel_bins // size)]


def real_frames(attention_mask: torch.Tensor, first: torch.Tensor, frames: int) -> torch.Tensor:
    """How many of the frames of each token are real.

    Args:
        attention_mask: [batch, frames], nonzero at real frames.
        first: the first frame of each token, [tokens] int64.
        frames: of each token.

    Returns:
        [batch, tokens] int64.
    """
    # Differences of a running count: a view by tokens would tie an exported program to lengths that they divide.
    before = nn.functional.pad(attention_mask.bool().long().cumsum(dim=1), (1, 0))
    return before[:, first + frames] - before[:, first]


def real_patches(config: EncoderConfig, attention_mask: torch.Tensor) -> torch.Tensor:
    """Which patches are real, those whose frames all are: [batch, frames] -> [batch, time * F] bool."""
    size, mel_patches = config.patch_size, config.num_mel_patches
    patch = torch.arange(attention_mask.shape[1] // size * mel_patches, device=attention_mask.device)
    return real_frames(attention_mask, patch // mel_patches * size, size) == size


def check_inputs(
    config: EncoderConfig,
    input_values: torch.Tensor,
    attention_mask: torch.Tensor | None,
    layer_keep: torch.Tensor | None,
) -> None:
    """Check shapes only, so that nothing waits for a GPU.

    Raises:
        ValueError: too few or too many frames, too few mel bins, or a mask or `layer_keep` of another shape.
    """
    if input_values.ndim != 3 or input_values.shape[-1] != config.num_mel_bins:
        raise ValueError(
            f"input_values has shape {list(input_values.shape)}, expected [batch, frames, {config.num_mel_bins}]: "
            "take it from the feature extractor"
        )
    frames = input_values.shape[1]
    if frames < config.patch_size:
        raise ValueError(f"input_values has {frames} frames, a patch needs {config.patch_size}: use longer clips")
    if frames >= (config.max_time_patches + 1) * config.patch_size:
        raise ValueError(
            f"input_values has {frames} frames ({frames / 100:.1f} s), more than the "
            f"{config.max_time_patches * config.patch_size} of max_time_patches={config.max_time_patches}: attention "
            "takes memory with the square of the length; use AnomalyDetector, which scores long recordings in "
            "windows, or cut the clips"
        )
    if attention_mask is not None and attention_mask.shape != input_values.shape[:2]:
        raise ValueError(
            f"attention_mask has shape {list(attention_mask.shape)}, expected {list(input_values.shape[:2])}: one "
            "value for each frame, not for each sample; take it from the feature extractor"
        )
    expected = (input_values.shape[0], config.num_hidden_layers)
    if layer_keep is not None and layer_keep.shape != expected:
        raise ValueError(f"layer_keep has shape {list(layer_keep.shape)}, expected {list(expected)}")


def classifier_output(
    model: Any, outputs: ModelOutput, logits: torch.Tensor, labels: torch.Tensor | None
) -> EncoderClassifierOutput:
    """Return the output of a classifier, with a loss if labels are given.

    Args:
        model: the classifier, whose configuration names the loss.
        outputs: of its encoder.
        logits: [batch, labels].
        labels: as `check_labels` takes them; None: no loss.
    """
    loss = None
    if labels is not None:
        loss = model.loss_function(check_labels(model.config, labels, logits), logits, model.config)
    return EncoderClassifierOutput(
        loss=loss,
        logits=logits,
        last_hidden_state=outputs.last_hidden_state,
        hidden_states=outputs.hidden_states,
        attentions=outputs.attentions,
    )


def check_labels(config: EncoderConfig, labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The labels in the dtype that the loss of `config.problem_type` takes.

    Raises:
        ValueError: class indices where multi-hot labels are needed, or the reverse.
    """
    problem_type, expected = config.problem_type, list(logits.shape)
    if problem_type == "multi_label_classification":
        if labels.shape != logits.shape:
            raise ValueError(
                f"labels have shape {list(labels.shape)} and dtype {labels.dtype}, but problem_type is "
                f"{problem_type!r}: use multi-hot labels {expected}, or for one class per clip "
                'config.problem_type = "single_label_classification"'
            )
        return labels.to(logits.dtype)
    if problem_type == "single_label_classification" and (labels.is_floating_point() or labels.ndim != 1):
        raise ValueError(
            f"labels have shape {list(labels.shape)} and dtype {labels.dtype}, but problem_type is {problem_type!r}: "
            f"use class indices {expected[:1]}, or for multi-hot labels "
            'config.problem_type = "multi_label_classification"'
        )
    return labels
