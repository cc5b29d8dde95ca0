"""The two files of a saved detector, checked against each other and against the encoder before they are used."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from modeling_retainmix.detection.settings import DetectorSettings

SETTINGS_FILE = "detector.json"
REFERENCES_FILE = "references.safetensors"

_DTYPES = {
    "vectors": torch.float32,
    "recording": torch.int64,
    "is_target": torch.bool,
    "level_moments": torch.float32,
}


def read_settings(path: str | os.PathLike[str]) -> tuple[DetectorSettings, list[str]]:
    """Reads a detector's JSON file.

    Args:
        path: `detector.json`.

    Returns:
        The settings, and the names of the reference recordings.

    Raises:
        ValueError: it is no JSON, lacks one of the two, or holds a setting that is unknown or out of range.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        settings, names = DetectorSettings(**content["settings"]), content["references"]
    except KeyError as error:
        raise ValueError(f"{path} lacks {error}: save the detector again") from error
    except (TypeError, ValueError) as error:  # JSON and Unicode errors are ValueErrors
        raise ValueError(f"{path} does not hold a detector's settings ({error}): save the detector again") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path} has references that are no list of names: save the detector again")
    return settings, names


def read_references(
    path: str | os.PathLike[str], names: Sequence[str], settings: DetectorSettings, config: Any, num_layers: int
) -> dict[str, torch.Tensor]:
    """Reads a detector's tensors.

    Args:
        path: `references.safetensors`.
        names: of the recordings, from the JSON file.
        settings: of the detector.
        config: of the encoder.
        num_layers: number of layers that the detector reads.

    Returns:
        `vectors` [n, dim] float32, `recording` [n] int64, `is_target` [n] bool, `level_moments` [n, F, 2] float32.

    Raises:
        ValueError: the file is damaged, or does not fit the JSON file or the encoder; the message says where.
    """

    def check(fits: bool, problem: str) -> None:
        if not fits:
            raise ValueError(f"{path} {problem}: the detector's files do not belong together, save it again")

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}): save the detector again") from error
    for key, dtype in _DTYPES.items():
        check(key in tensors, f"lacks {key}")
        check(tensors[key].dtype == dtype, f"holds {key} as {tensors[key].dtype}, not {dtype}")
    vectors, recording = tensors["vectors"], tensors["recording"]
    count, bands = len(recording), config.num_mel_patches
    check(recording.ndim == 1, f"holds recording of shape {list(recording.shape)}, not [n]")
    for key, shape in (("is_target", [count]), ("level_moments", [count, bands, 2])):
        check(list(tensors[key].shape) == shape, f"holds {key} of shape {list(tensors[key].shape)}, not {shape}")
    channels = 1 if settings.view == "near" else 2
    width = channels * num_layers * config.hidden_size * (bands if settings.pooling == "time_mean" else 1)
    # Averages over frequency keep the time axis, whose length is that of the references.
    has_width = vectors.ndim == 2 and (
        vectors.shape[1] % width == 0 if settings.pooling == "frequency_mean" else vectors.shape[1] == width
    )
    check(
        has_width and len(vectors) == count,
        f"holds vectors of shape {list(vectors.shape)}, but {count} windows and an encoder that gives {width} values",
    )
    check(bool(vectors.isfinite().all()), "holds vectors that are not finite")
    recordings = recording.unique().tolist()
    check(
        recordings == list(range(len(names))),
        f"holds {len(recordings)} recordings, numbered {recordings[:1]} to {recordings[-1:]}, "
        f"but {SETTINGS_FILE} names {len(names)}",
    )
    return tensors
