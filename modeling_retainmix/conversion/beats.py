"""BEATs checkpoints in their original format: configuration and names of the tensors."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from modeling_retainmix.conversion.files import load_exactly
from modeling_retainmix.encoders import BeatsConfig, BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel

# Key of the original configuration -> (our field, the default of the original code).
CONFIG_FIELDS: dict[str, tuple[str, Any]] = {
    "input_patch_size": ("patch_size", 16),
    "embed_dim": ("patch_embed_size", 512),
    "conv_bias": ("conv_bias", False),
    "encoder_layers": ("num_hidden_layers", 12),
    "encoder_embed_dim": ("hidden_size", 768),
    "encoder_ffn_embed_dim": ("intermediate_size", 3072),
    "encoder_attention_heads": ("num_attention_heads", 12),
    "activation_fn": ("hidden_act", "gelu"),
    "layer_norm_first": ("layer_norm_first", False),
    "deep_norm": ("deep_norm", False),
    "dropout": ("hidden_dropout", 0.1),
    "attention_dropout": ("attention_dropout", 0.1),
    "activation_dropout": ("activation_dropout", 0.0),
    "dropout_input": ("input_dropout", 0.0),
    "encoder_layerdrop": ("layerdrop", 0.0),
    "conv_pos": ("num_conv_pos_embeddings", 128),
    "conv_pos_groups": ("num_conv_pos_embedding_groups", 16),
    "relative_position_embedding": ("relative_position_embedding", False),
    "num_buckets": ("num_buckets", 320),
    "max_distance": ("max_bucket_distance", 1280),
    "gru_rel_pos": ("gru_rel_pos", False),
    "layer_wise_gradient_decay_ratio": ("layer_wise_gradient_decay_ratio", 1.0),
    "predictor_dropout": ("classifier_dropout", 0.0),
}

# Patterns of the original names, in the order in which they are tried, and ours.
NAMES = [
    (r"patch_embedding\.", "patch_embeddings.projection."),
    (r"layer_norm\.", "patch_embeddings.layer_norm."),
    (r"post_extract_proj\.", "patch_embeddings.linear."),
    (r"encoder\.pos_conv\.0\.weight_g$", "position_conv.conv.parametrizations.weight.original0"),
    (r"encoder\.pos_conv\.0\.weight_v$", "position_conv.conv.parametrizations.weight.original1"),
    (r"encoder\.pos_conv\.0\.", "position_conv.conv."),
    (r"encoder\.layer_norm\.", "layer_norm."),
    (r"encoder\.layers\.\d+\.self_attn\.relative_attention_bias\.", "position_bias.embedding."),
    (r"encoder\.layers\.(\d+)\.self_attn\.grep_linear\.", r"layers.\1.attention.gate_linear."),
    (r"encoder\.layers\.(\d+)\.self_attn\.grep_a$", r"layers.\1.attention.gate_scale"),
    (r"encoder\.layers\.(\d+)\.self_attn\.", r"layers.\1.attention."),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.", r"layers.\1.attention_norm."),
    (r"encoder\.layers\.(\d+)\.fc1\.(linear\.)?", r"layers.\1.feed_forward.fc1."),
    (r"encoder\.layers\.(\d+)\.fc2\.", r"layers.\1.feed_forward.fc2."),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.", r"layers.\1.final_norm."),
    (r"predictor\.", "classifier."),
    (r"decoder\.linear_out\.", "classifier."),
]


def convert_beats(
    checkpoint: dict[str, Any], source: str | Path
) -> tuple[BeatsModel | BeatsForAudioClassification, BeatsFeatureExtractor]:
    """Model and feature extractor of an original BEATs checkpoint, pre-trained or fine-tuned.

    Args:
        checkpoint: the content of the file, `{"cfg", "model"}`; a fine-tuned one also holds `label_dict`, class index
            -> AudioSet id.
        source: named in errors.

    Raises:
        ValueError: the tensors do not fit the configuration, or have unknown names.
    """
    fields = config_fields(checkpoint["cfg"]) | {"padding_rule": "fold"}
    tensors = rename_tensors(checkpoint["model"], source)
    if "classifier.bias" in tensors:
        num_labels = len(tensors["classifier.bias"])
        labels = checkpoint.get("label_dict") or {index: f"LABEL_{index}" for index in range(num_labels)}
        fields |= label_fields([labels[index] for index in sorted(labels)], multi_label=True)
    return build_beats(fields, tensors, source), BeatsFeatureExtractor(padding_rule="fold")


def config_fields(cfg: dict[str, Any]) -> dict[str, Any]:
    """Fields of `BeatsConfig` from an original configuration; keys that concern pre-training alone are left out."""
    return {ours: cfg.get(key, default) for key, (ours, default) in CONFIG_FIELDS.items()}


def label_fields(names: Sequence[str], multi_label: bool) -> dict[str, Any]:
    """Configuration fields of a classification head."""
    return {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
        "problem_type": "multi_label_classification" if multi_label else "single_label_classification",
    }


def build_beats(
    fields: dict[str, Any], tensors: dict[str, torch.Tensor], source: str | Path
) -> BeatsModel | BeatsForAudioClassification:
    """The model with these tensors: a classifier if they hold a head.

    Raises:
        ValueError: the tensors do not fit the configuration.
    """
    model: BeatsModel | BeatsForAudioClassification
    if "classifier.weight" in tensors:
        model = BeatsForAudioClassification(BeatsConfig(**fields))
        tensors = {name if name.startswith("classifier.") else f"beats.{name}": tensors[name] for name in tensors}
    else:
        model = BeatsModel(BeatsConfig(**fields))
    load_exactly(model, tensors, source)
    return model


def rename_tensors(tensors: dict[str, torch.Tensor], source: str | Path) -> dict[str, torch.Tensor]:
    """Our names for the tensors of a BEATs encoder; the position table, repeated under every layer, is kept once."""
    renamed: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        for pattern, replacement in NAMES:
            ours, matches = re.subn(rf"^{pattern}", replacement, name)
            if matches:
                break
        else:
            raise ValueError(f"{source} holds a tensor {name!r}, which no BEATs encoder has")
        if ours in renamed and not torch.equal(renamed[ours], value):
            raise ValueError(f"{source}: {name!r} differs between layers, but BEATs shares it among them")
        renamed[ours] = value
    return renamed
