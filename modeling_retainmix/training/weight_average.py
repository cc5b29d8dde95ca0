"""The mean of the weights of several students, tensor by tensor: one encoder that costs no more than each of them.

Students that start from one encoder and train on other sounds, or in another order, err in other ways; their mean
keeps what they share (Wortsman et al., "Model soups", ICML 2022, arXiv:2203.05482).
"""

import hashlib
import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel
from transformers import AutoFeatureExtractor, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils import SAFE_WEIGHTS_NAME, cached_file

from modeling_retainmix.atomic import moved_into
from modeling_retainmix.detection.load_encoder import embedding_layer
from modeling_retainmix.hub.remote_code import add_remote_code
from modeling_retainmix.pretrained import load_pretrained
from modeling_retainmix.training.model_records import read_average, read_settings, read_training_data, write_average
from modeling_retainmix.training.saving import ARGUMENTS_NAME, remove_records_of_other_weights

# Students of one start keep 0.8 to 0.97 after 2000 steps, 0.5 to 0.7 after 20,000; with starts of their own, about 0.
_SMALLEST_SIMILARITY = 0.2
# Of a configuration: what belongs to a head or to the file, not to the shape of the encoder.
_NOT_OF_THE_SHAPE = (
    *("id2label", "label2id", "problem_type", "architectures", "auto_map", "dtype", "transformers_version"),
    *("use_cache", "_name_or_path", "custom_pipelines"),
)


def average_models(models: Sequence[str | os.PathLike[str]], output_dir: str | os.PathLike[str]) -> PreTrainedModel:
    """Write the encoder whose every tensor is the mean of those of several encoders, each with the same weight.

    Heads are left out: the classes of one training are not those of another. The folder holds the encoder, its feature
    extractor, its code, and in `average.json` which models it is made of, and how they were trained. Scores, card and
    training arguments of another model that lie there are removed.

    Args:
        models: two or more folders or Hub names of students that started from one encoder.
        output_dir: folder to write, made where it is missing; none of the models'.

    Returns:
        The mean, in evaluation mode, float32.

    Raises:
        FileNotFoundError: there is no such model.
        ValueError: fewer than two models, one that is named twice or has the weights of another one, lies in the
            output folder or is a mean, another shape or feature extractor, or weights that do not come from one start;
            the message names the models.
    """
    names = [os.fspath(model) for model in models]
    if len(names) < 2:
        raise ValueError(f"a mean takes two or more models, got {', '.join(names) or 'none'}: name their folders")
    if Path(output_dir).resolve() in {Path(name).resolve() for name in names}:
        raise ValueError(f"{output_dir} holds one of the models: give the mean another folder")
    parts = [load_pretrained(AutoModel, name, dtype=torch.float32) for name in names]
    for name in names:
        if read_average(name) is not None:
            raise ValueError(f"{name} is a mean itself: name the models that it is made of")
    _check_alike(names, parts)
    records = [_record(name) for name in names]
    mean = AveragedModel(parts[0], use_buffers=True)
    for part in parts:
        mean.update_parameters(part)
    averaged: PreTrainedModel = mean.module.eval()
    averaged.config.num_labels, averaged.config.problem_type = PreTrainedConfig().num_labels, None  # of the heads
    averaged.config.embedding_layer = embedding_layer(averaged.config)
    with moved_into(output_dir) as staging:
        averaged.save_pretrained(staging)
        AutoFeatureExtractor.from_pretrained(names[0]).save_pretrained(staging)
        add_remote_code(staging)
        write_average(staging, records)
        remove_records_of_other_weights(Path(output_dir))
        Path(output_dir, ARGUMENTS_NAME).unlink(missing_ok=True)
    return averaged


def _record(name: str) -> dict[str, Any]:
    """Return name, digest of the weights (None: not in one safetensors file), settings and data of the training."""
    weights = cached_file(name, SAFE_WEIGHTS_NAME, _raise_exceptions_for_missing_entries=False)
    return {
        "name": Path(name).name,
        "weights_sha256": hashlib.sha256(Path(weights).read_bytes()).hexdigest() if weights else None,
        "settings": read_settings(name),
        "training_data": read_training_data(name),
    }


def _check_alike(names: Sequence[str], parts: Sequence[PreTrainedModel]) -> None:
    """Check that models are different ones of one shape, with one feature extractor, from one start.

    Raises:
        ValueError: they are not.
    """
    first = _shape(parts[0])
    extractor = AutoFeatureExtractor.from_pretrained(names[0]).to_dict()
    for name, part in zip(names[1:], parts[1:], strict=True):
        shape = _shape(part)
        for field in sorted(first.keys() | shape.keys()):
            if first.get(field) != shape.get(field):
                cure = "leave one out, or train both from one encoder"
                if field == "embedding_layer":
                    cure = "choose one layer and write it into the config.json of the other"
                raise ValueError(
                    f"{names[0]} has {field}={first.get(field)!r} and {name} has {shape.get(field)!r}: only models of "
                    f"one shape, read at one layer, have a mean; {cure}"
                )
        if AutoFeatureExtractor.from_pretrained(name).to_dict() != extractor:
            raise ValueError(f"{names[0]} and {name} have different feature extractors: their mean would have neither")
    for (a, one), (b, other) in combinations(zip(names, parts, strict=True), 2):
        if all(torch.equal(x, y) for x, y in zip(one.parameters(), other.parameters(), strict=True)):
            raise ValueError(f"{a} and {b} have the same weights: name each model once")
        similarity = _similarity(one, other)
        if not similarity >= _SMALLEST_SIMILARITY:
            raise ValueError(
                f"the weights of {a} and {b} have a cosine similarity of {similarity:.2f}, so they did not start from "
                "one encoder, and their mean hears nothing: train them from one start, with seeds of their own"
            )


def _shape(model: PreTrainedModel) -> dict[str, Any]:
    fields = {name: value for name, value in model.config.to_dict().items() if name not in _NOT_OF_THE_SHAPE}
    return fields | {"embedding_layer": embedding_layer(model.config)}


def _similarity(one: PreTrainedModel, other: PreTrainedModel) -> float:
    """Return the cosine between the weights of two models; biases and norms, alike in all models, do not count."""

    def flat(model: PreTrainedModel) -> torch.Tensor:
        return torch.cat([tensor.detach().flatten() for tensor in model.parameters() if tensor.ndim > 1])

    return torch.nn.functional.cosine_similarity(flat(one), flat(other), dim=0).item()
