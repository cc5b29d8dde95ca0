"""The frozen teacher of the mixture loss: loaded, compared with the student, and moved to where it computes."""

import copy
from typing import Any

import torch
from transformers import AutoModel, PreTrainedConfig, PreTrainedModel

from modeling_retainmix.conversion.encoders_by_name import loadable_name
from modeling_retainmix.pretrained import load_pretrained


def check_same_tokens(student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
    """Check that the tokens of a student and a teacher can be compared (Eq. 6).

    Raises:
        ValueError: patch grid or width differ; the message names the field and both values.
    """
    for field in ("hidden_size", "patch_size", "num_prefix_tokens"):
        ours, theirs = getattr(student, field), getattr(teacher, field)
        if ours != theirs:
            raise ValueError(f"the student's {field} is {ours} but the teacher's {theirs}: Eq. 6 compares tokens")


def check_same_features(student: Any, teacher: Any) -> None:
    """Check that a student and a teacher hear clips alike: a training computes features once, for both.

    Args:
        student, teacher: feature extractors.

    Raises:
        ValueError: they are of other kinds or have other values; the message names the field and both values.
    """
    ours, theirs = student.to_dict(), teacher.to_dict()
    for field in ("feature_extractor_type", "feature_size", "mean", "std", "clip_level", "padding_value"):
        if ours.get(field) != theirs.get(field):
            raise ValueError(
                f"the student's feature extractor has {field}={ours.get(field)!r} but the teacher's "
                f"{theirs.get(field)!r}, and one makes the features of both: start the student from the teacher, or "
                "from an encoder with its feature extractor"
            )


def freeze_teacher(
    teacher: PreTrainedModel | str | None,
    student: PreTrainedConfig,
    num_layers: int | None,
    device: torch.device,
    dtype: torch.dtype,
) -> PreTrainedModel:
    """Load a teacher where it is a name, and freeze it.

    It stays outside Accelerate: `prepare_model` would register it as the model to evaluate.

    Args:
        teacher: an encoder, or the folder or Hub name of one. Of a name, no layer above `num_layers` is loaded.
        student: configuration of the student that it teaches.
        num_layers: the highest layer that is compared; None: the last.
        device, dtype: where and in what the matrix products are computed. An encoder of another dtype is copied, so
            that the caller's stays as it is.

    Returns:
        The teacher in evaluation mode, without gradients.

    Raises:
        FileNotFoundError: no model has that name.
        ValueError: no teacher, tokens that differ from the student's, or incomplete weights.
    """
    if teacher is None:
        raise ValueError("the mixture loss (beta > 0) needs a teacher: pass teacher=, or set beta=0")
    encoder: Any = teacher
    if isinstance(teacher, str):
        depth: dict[str, Any] = {} if num_layers is None else {"num_hidden_layers": num_layers}
        encoder = load_pretrained(AutoModel, loadable_name(teacher), **depth)
    check_same_tokens(student, encoder.config)
    if not isinstance(teacher, str) and teacher.dtype != dtype:
        encoder = copy.deepcopy(encoder)
    return encoder.requires_grad_(False).eval().to(device, dtype)
