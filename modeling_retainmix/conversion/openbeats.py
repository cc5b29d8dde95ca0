"""OpenBEATs checkpoints: BEATs weights with other file layouts, statistics and padding (Bharadwaj et al., 2025)."""

import logging
import re
from pathlib import Path
from typing import Any

from modeling_retainmix.conversion.beats import build_beats, config_fields, label_fields, rename_tensors
from modeling_retainmix.conversion.files import (
    CONFIG_PATTERNS,
    find_config,
    find_folder_or_file,
    find_weights,
    load_weights,
    read_config,
)
from modeling_retainmix.encoders import BeatsFeatureExtractor, BeatsForAudioClassification, BeatsModel

logger = logging.getLogger(__name__)

# Convolutions of ones that the original uses to compute its padding mask.
MASK_TENSORS = ("patch_embedding_pad.weight", "raw2fbank_pad.weight")
BASE_REPOSITORY = "shikhar7ssu/OpenBEATs-{size}-i{iteration}"


def is_openbeats(checkpoint: dict[str, Any]) -> bool:
    """Whether the content of a file is that of an OpenBEATs checkpoint, pre-trained or fine-tuned."""
    tensors = checkpoint.get("model", checkpoint)
    return "raw2fbank_pad.weight" in tensors or "encoder.patch_embedding.weight" in tensors


def convert_openbeats(
    checkpoint: dict[str, Any],
    config: dict[str, Any] | None,
    source: str | Path,
    base: str | Path | None = None,
    allow_pickle: bool = False,
) -> tuple[BeatsModel | BeatsForAudioClassification, BeatsFeatureExtractor]:
    """Model and feature extractor of an OpenBEATs checkpoint.

    Args:
        checkpoint: the content of the file: `{"cfg", "model"}`, or the bare tensors of a fine-tuned model.
        config: `config.yaml` of a fine-tuned model, which holds its labels but not its architecture.
        source: the name under which the user asked for it; used to find the base model, and in errors.
        base: where the architecture of a fine-tuned model comes from: a `config.yaml`, a checkpoint, a folder or a
            Hub name; None: the name of the base is read from `source` or from the configuration.
        allow_pickle: as for `convert_checkpoint`; for the checkpoint of the base.

    Raises:
        ValueError: the base is unknown, labels are missing, or the tensors do not fit the configuration.
    """
    tensors = checkpoint.get("model", checkpoint)
    if "encoder.patch_embedding.weight" in tensors:
        # Fine-tuned: the encoder's names stand under one more "encoder.".
        tensors = {name.removeprefix("encoder."): value for name, value in tensors.items()}
    tensors = rename_tensors({name: tensors[name] for name in tensors if name not in MASK_TENSORS}, source)
    cfg = checkpoint["cfg"] if "cfg" in checkpoint else base_config(config or {}, source, base, allow_pickle)
    fields = config_fields(cfg) | {"padding_rule": "conv"}
    if "classifier.bias" in tensors:
        fields |= head_fields(checkpoint, config, len(tensors["classifier.bias"]), source)
    statistics = {"mean": cfg.get("fbank_mean", 15.41663), "std": cfg.get("fbank_std", 6.55582)}
    tuned = (config or {}).get("encoder_conf", {})
    for key, used in (("fbank_mean", statistics["mean"]), ("fbank_std", statistics["std"])):
        if tuned.get(key, used) != used:
            logger.warning(
                "%s: its configuration names %s %s, the base model %s; the base's is used, as the package openbeats "
                "does. To use the other, set `mean` and `std` of the feature extractor.",
                source, key, tuned[key], used,
            )  # fmt: skip
    return build_beats(fields, tensors, source), BeatsFeatureExtractor(**statistics, padding_rule="conv")


def head_fields(
    checkpoint: dict[str, Any], config: dict[str, Any] | None, num_labels: int, source: str | Path
) -> dict[str, Any]:
    """Labels and activation of a fine-tuned model, from the checkpoint itself or from its `config.yaml`."""
    if "token_list" in checkpoint:
        tokens, multi_label = checkpoint["token_list"], bool(checkpoint.get("multi_label", False))
    elif config is not None and "token_list" in config:
        tokens = config["token_list"]
        multi_label = config.get("model_conf", {}).get("classification_type") == "multi-label"
    else:
        raise ValueError(f"{source} is a fine-tuned model without its labels: put its config.yaml beside the weights")
    names = [token for token in tokens if token not in ("<blank>", "<unk>")]
    if len(names) != num_labels:
        raise ValueError(f"{source} has {num_labels} outputs, but its token_list names {len(names)} labels")
    return label_fields(names, multi_label)


def base_config(
    config: dict[str, Any], source: str | Path, base: str | Path | None, allow_pickle: bool
) -> dict[str, Any]:
    """The architecture of the model from which a fine-tuned one started."""
    name = base or base_name(config, source)
    location = find_folder_or_file(name, CONFIG_PATTERNS)
    if location.is_file() and location.suffix != ".yaml":
        beside = None  # a configuration beside it may be that of the fine-tuned model
    else:
        beside = read_config(location) if location.is_file() else find_config(location, location / "weights")
    found = ((beside or {}).get("encoder_conf") or {}).get("beats_config")
    if found is None and location.suffix != ".yaml":
        found = load_weights(find_weights(find_folder_or_file(name)), allow_pickle).get("cfg")
    if found is None:
        raise ValueError(f"{name}, the base of {source}, holds neither encoder_conf.beats_config nor cfg")
    return found


def base_name(config: dict[str, Any], source: str | Path) -> str:
    """Hub name of the base, from `OpenBEATs-<size>-i<n>` in the source's name or from the path of its checkpoint."""
    match = re.search(r"openbeats-(base|large)-i(\d)", str(source), re.IGNORECASE)
    if match:
        return BASE_REPOSITORY.format(size=match[1].capitalize(), iteration=match[2])
    # The training framework counts its iterations from 0.
    path = str((config.get("encoder_conf") or {}).get("beats_ckpt_path", ""))
    match = re.search(r"ear_(base|large).*beats_iter(\d)", path)
    if match:
        return BASE_REPOSITORY.format(size=match[1].capitalize(), iteration=int(match[2]) + 1)
    raise ValueError(
        f"{source} is a fine-tuned model, whose files lack its architecture: use convert_checkpoint with base=, "
        "the config.yaml, the checkpoint or the Hub name of the model that it started from"
    )
