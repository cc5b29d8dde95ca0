"""EAT and SSLAM checkpoints, as fairseq wrote them or as the authors' Hub repositories hold them."""

import re
from pathlib import Path
from typing import Any

import torch

from modeling_retainmix.conversion.beats import label_fields
from modeling_retainmix.conversion.files import load_exactly
from modeling_retainmix.encoders import EatConfig, EatFeatureExtractor, EatForAudioClassification, EatModel
from modeling_retainmix.encoders.modeling_eat import position_table

# Patterns of the original names without "model." and "modality_encoders.IMAGE.", and ours.
NAMES = [
    (r"extra_tokens$", "embeddings.class_token"),
    (r"local_encoder\.proj\.", "embeddings.projection."),
    (r"fixed_positional_encoder\.positions$", "embeddings.positions"),
    (r"(context_encoder\.norm|pre_norm)\.", "embeddings.layer_norm."),
    (r"blocks\.(\d+)\.norm1\.", r"layers.\1.attention_norm."),
    (r"blocks\.(\d+)\.attn\.qkv\.", r"layers.\1.attention.qkv."),
    (r"blocks\.(\d+)\.attn\.proj\.", r"layers.\1.attention.out_proj."),
    (r"blocks\.(\d+)\.norm2\.", r"layers.\1.final_norm."),
    (r"blocks\.(\d+)\.mlp\.", r"layers.\1.feed_forward."),
    (r"fc_norm\.", "norm."),
    (r"head\.", "classifier."),
]
MEL_PATCHES = 8
TIME_PATCHES = 768  # rows of today's position tables; older ones are shorter and extended by the formula


def is_eat(checkpoint: dict[str, Any]) -> bool:
    """Whether the content of a file is that of an EAT or SSLAM checkpoint."""
    return any(str(name).endswith("local_encoder.proj.weight") for name in checkpoint.get("model", checkpoint))


def convert_eat(
    checkpoint: dict[str, Any], config: dict[str, Any] | None, source: str | Path
) -> tuple[EatModel | EatForAudioClassification, EatFeatureExtractor]:
    """Model and feature extractor of an EAT or SSLAM checkpoint, pre-trained or fine-tuned.

    Args:
        checkpoint: the content of the file: fairseq's `{"cfg", "model", ...}`, or bare tensors.
        config: `config.json` beside Hub weights; names the number of heads and the input's length.
        source: named in errors.

    Raises:
        ValueError: another variant of the network, or tensors that do not fit the configuration.
    """
    cfg = (checkpoint.get("cfg") or {}).get("model") or config or {}
    image = (cfg.get("modalities") or {}).get("image") or {}
    if cfg.get("layer_norm_first") or image.get("use_alibi_encoder"):
        raise ValueError(f"{source} is a variant with pre-norm layers or ALiBi, which no published EAT or SSLAM has")
    tensors = rename_tensors(checkpoint.get("model", checkpoint), source)
    width = tensors["embeddings.class_token"].shape[-1]
    table = position_rows(tensors.get("embeddings.positions"), width)
    tensors["embeddings.positions"] = table
    fields: dict[str, Any] = {
        "hidden_size": width,
        "num_hidden_layers": len({name.split(".")[1] for name in tensors if name.startswith("layers.")}),
        "num_attention_heads": cfg.get("num_heads", width // 64),
        "intermediate_size": tensors["layers.0.feed_forward.fc1.bias"].shape[0],
        "layer_norm_eps": cfg.get("norm_eps", 1e-6),
        "max_time_patches": table.shape[1] // MEL_PATCHES,
    }
    target_length = image.get("target_length") or (cfg.get("img_size") or [1024])[0]
    model: EatModel | EatForAudioClassification
    if "classifier.bias" in tensors:
        num_labels = len(tensors["classifier.bias"])
        fields |= label_fields([f"LABEL_{index}" for index in range(num_labels)], multi_label=True)
        mean = cfg.get("prediction_mode") == "MEAN_POOLING"
        fields |= {
            "classifier_norm": "norm.weight" in tensors,
            "classifier_pooling": "mean" if mean else "class_token",
        }
        model = EatForAudioClassification(EatConfig(**fields))
        tensors = {
            name if name.startswith(("classifier.", "norm.")) else f"eat.{name}": value
            for name, value in tensors.items()
        }
    else:
        model = EatModel(EatConfig(**fields))
    load_exactly(model, tensors, source)
    return model, EatFeatureExtractor(target_length=target_length)


def rename_tensors(tensors: dict[str, Any], source: str | Path) -> dict[str, torch.Tensor]:
    """Our names for the tensors of the encoder and its head; the decoder and the averaged copy are left out."""
    renamed = {}
    for name, value in tensors.items():
        short = name.removeprefix("model.").removeprefix("modality_encoders.IMAGE.")
        if name == "_ema" or short.startswith("decoder."):
            continue
        for pattern, replacement in NAMES:
            ours, matches = re.subn(rf"^{pattern}", replacement, short)
            if matches:
                renamed[ours] = value
                break
        else:
            raise ValueError(f"{source} holds a tensor {name!r}, which no EAT encoder has")
    for needed in ("embeddings.class_token", "layers.0.feed_forward.fc1.bias"):
        if needed not in renamed:
            raise ValueError(
                f"{source} lacks the tensor that becomes {needed}: the EAT encoder is not whole, use another file"
            )
    return renamed


def position_rows(stored: torch.Tensor | None, width: int) -> torch.Tensor:
    """The stored position table, with the rows that it lacks from the formula: [1, rows, width]."""
    table = position_table(TIME_PATCHES, MEL_PATCHES, width)
    if stored is None:
        return table
    return torch.cat([stored.float(), table[:, stored.shape[1] :]], dim=1)
