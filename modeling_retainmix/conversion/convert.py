"""Original checkpoints of audio encoders, as their authors published them, to transformers folders."""

import csv
from pathlib import Path
from typing import Any

from transformers import FeatureExtractionMixin, PreTrainedModel

from modeling_retainmix.conversion.beats import convert_beats
from modeling_retainmix.conversion.eat import convert_eat, is_eat
from modeling_retainmix.conversion.files import find_config, find_folder_or_file, find_weights, load_weights
from modeling_retainmix.conversion.openbeats import convert_openbeats, is_openbeats


def convert_checkpoint(
    path: str | Path,
    output_dir: str | Path,
    base: str | Path | None = None,
    allow_pickle: bool = False,
    labels_csv: str | Path | None = None,
) -> PreTrainedModel:
    """Write a transformers folder (safetensors, configuration, feature extractor) from an original checkpoint.

    BEATs, OpenBEATs, EAT and SSLAM, pre-trained and fine-tuned, are distinguished by their content. What was found is
    printed.

    Args:
        path: the checkpoint file, a folder that holds it, or the Hub name of its repository.
        output_dir: folder to write.
        base: where the architecture of a fine-tuned OpenBEATs comes from, if its files and name do not say it: a
            `config.yaml`, a checkpoint, a folder or a Hub name.
        allow_pickle: also read files that hold more than tensors and plain values, which may run code; only for files
            from a trusted source.
        labels_csv: names to show instead of the label ids of the checkpoint: a file with the columns `mid` and
            `display_name`, as AudioSet's `class_labels_indices.csv`; where the checkpoint has no ids, the column
            `index` counts.

    Returns:
        The model, in evaluation mode: with a classification head if the checkpoint has one.

    Raises:
        FileNotFoundError: no such file, folder or repository, or no weights in it.
        ValueError: no checkpoint of a known kind, several files of weights, or a configuration that contradicts the
            tensors.
    """
    location = find_folder_or_file(path)
    weights = find_weights(location)
    config = find_config(location, weights)
    model, feature_extractor = read_original(weights, config, path, base, allow_pickle)
    if labels_csv is not None:
        _rename_labels(model, Path(labels_csv))
    model.save_pretrained(output_dir)
    feature_extractor.save_pretrained(output_dir)
    print(describe_conversion(model, feature_extractor, weights, output_dir))
    return model.eval()


def read_original(
    weights: Path,
    config: dict[str, Any] | None,
    source: str | Path,
    base: str | Path | None = None,
    allow_pickle: bool = False,
) -> tuple[PreTrainedModel, FeatureExtractionMixin]:
    """Model and feature extractor of an original checkpoint.

    Args:
        weights: the checkpoint file.
        config: what lies beside it, as `find_config` gives it.
        source: the name under which the user asked for it; used to find a base model, and in errors.
        base, allow_pickle: as for `convert_checkpoint`.

    Raises:
        FileNotFoundError, ValueError: as in `convert_checkpoint`.
    """
    checkpoint = load_weights(weights, allow_pickle)
    if isinstance(checkpoint, dict):
        if is_eat(checkpoint):
            return convert_eat(checkpoint, config, source)
        if is_openbeats(checkpoint):
            return convert_openbeats(checkpoint, config, source, base, allow_pickle)
        if {"cfg", "model"} <= checkpoint.keys():
            return convert_beats(checkpoint, source)
    found = ", ".join(map(str, list(checkpoint)[:5])) if isinstance(checkpoint, dict) else type(checkpoint).__name__
    raise ValueError(f"{weights} is not a checkpoint of BEATs, OpenBEATs, EAT or SSLAM: it holds {found}")


def _rename_labels(model: PreTrainedModel, labels_csv: Path) -> None:
    if not labels_csv.is_file():
        raise FileNotFoundError(f"{labels_csv} does not exist: pass a file with the columns mid and display_name")
    with labels_csv.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"mid", "display_name"} <= rows[0].keys():
        raise ValueError(f"{labels_csv} lacks the columns mid and display_name")
    names = {row["mid"]: row["display_name"] for row in rows}
    names |= {f"LABEL_{row['index']}": row["display_name"] for row in rows if "index" in row}
    missing = [label for label in model.config.id2label.values() if label not in names]
    if missing:
        raise ValueError(f"{labels_csv} names no label {missing[0]!r}, which the checkpoint has")
    model.config.id2label = {index: names[label] for index, label in model.config.id2label.items()}
    model.config.label2id = {name: index for index, name in model.config.id2label.items()}


def describe_conversion(
    model: PreTrainedModel, feature_extractor: FeatureExtractionMixin, weights: str | Path, output_dir: str | Path
) -> str:
    """One line: what was found in an original checkpoint, and where the transformers folder is."""
    config = model.config
    parts = [
        f"{config.num_hidden_layers} layers, width {config.hidden_size}",
        f"{model.num_parameters() / 1e6:.1f} M parameters",
        f"mean {feature_extractor.mean}, std {feature_extractor.std}",
    ]
    if hasattr(model, "classifier"):
        parts.append(f"{config.num_labels} labels, {config.problem_type}")
    return f"{weights} -> {output_dir}: {type(model).__name__} ({'; '.join(parts)})"
