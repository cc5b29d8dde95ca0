"""BEATs checkpoints in their original format: configuration and names of the tensors."""

import re
from pathlib import Path
from typing import Any

import torch

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
]


def convert_beats(
    checkpoint: dict[str, Any], path: str | Path
) -> tuple[BeatsModel | BeatsForAudioClassification, BeatsFeatureExtractor]:
    """Model and feature extractor of a BEATs checkpoint `{"cfg", "model"}`, fine-tuned or not.

    Args:
        checkpoint: the content of the file; a fine-tuned one also holds `label_dict`, class index -> AudioSet id.
        path: named in errors.

    Raises:
        ValueError: the tensors do not fit the configuration, or have unknown names.
    """
    fields = {ours: checkpoint["cfg"].get(key, default) for key, (ours, default) in CONFIG_FIELDS.items()}
    tensors = rename_tensors(checkpoint["model"], path)
    if "classifier.weight" in tensors:
        labels = checkpoint.get("label_dict") or range(len(tensors["classifier.bias"]))
        names = labels.items() if isinstance(labels, dict) else ((i, f"LABEL_{i}") for i in labels)
        fields["id2label"] = {int(index): name for index, name in names}
        fields["label2id"] = {name: index for index, name in fields["id2label"].items()}
        fields["problem_type"] = "multi_label_classification"
        tensors = {
            name if name.startswith("classifier.") else f"beats.{name}": value for name, value in tensors.items()
        }
        model: BeatsModel | BeatsForAudioClassification = BeatsForAudioClassification(BeatsConfig(**fields))
    else:
        model = BeatsModel(BeatsConfig(**fields))
    load_exactly(model, tensors, path)
    return model, BeatsFeatureExtractor()


def rename_tensors(tensors: dict[str, torch.Tensor], path: str | Path) -> dict[str, torch.Tensor]:
    """Our names for the tensors of a BEATs encoder; the position table, repeated under every layer, is kept once."""
    renamed: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        for pattern, replacement in NAMES:
            ours, matches = re.subn(rf"^{pattern}", replacement, name)
            if matches:
                break
        else:
            raise ValueError(f"{path} holds a tensor {name!r}, which no BEATs encoder has")
        if ours in renamed and not torch.equal(renamed[ours], value):
            raise ValueError(f"{path}: {name!r} differs between layers, but BEATs shares it among them")
        renamed[ours] = value
    return renamed


def load_exactly(model: torch.nn.Module, tensors: dict[str, torch.Tensor], path: str | Path) -> None:
    """Loads tensors that must be exactly the model's, by name and shape."""
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{path}: the configuration calls for {name} {expected.get(name, '(absent)')}, "
                f"the checkpoint holds {found.get(name, '(absent)')}"
            )
    model.load_state_dict(tensors)
