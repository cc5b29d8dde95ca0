"""Original checkpoints of audio encoders, as their authors published them, to transformers folders."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from modeling_retainmix.convert_beats import convert_beats


def convert_checkpoint(
    path: str | Path, output_dir: str | Path, base: str | Path | None = None, allow_pickle: bool = False
) -> PreTrainedModel:
    """Writes a transformers folder (safetensors, configuration, feature extractor) from an original checkpoint.

    Args:
        path: the checkpoint file.
        output_dir: folder to write.
        base: where the architecture of a fine-tuned checkpoint comes from, if it does not hold it.
        allow_pickle: also load files that can only be read by running the code inside them; only for trusted files.

    Returns:
        The model, in evaluation mode: with a classification head if the checkpoint has one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a checkpoint of a known kind, or its configuration contradicts its tensors.
    """
    checkpoint = load_checkpoint(Path(path), allow_pickle)
    if not isinstance(checkpoint, dict) or "cfg" not in checkpoint or "model" not in checkpoint:
        found = (
            ", ".join(map(str, list(checkpoint)[:5])) if isinstance(checkpoint, dict) else type(checkpoint).__name__
        )
        raise ValueError(f"{path} is no BEATs checkpoint: expected the keys 'cfg' and 'model', found {found}")
    model, feature_extractor = convert_beats(checkpoint, path)
    model.save_pretrained(output_dir)
    feature_extractor.save_pretrained(output_dir)
    return model.eval()


def load_checkpoint(path: Path, allow_pickle: bool = False) -> Any:
    """Reads a torch file on the CPU, refusing code unless `allow_pickle`."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist or is no file: pass the checkpoint file")
    with path.open("rb") as file:
        start = file.read(2)
    if start not in (b"PK", b"\x80\x02"):  # a zip archive, or a pickle as torch wrote it before 1.6
        raise ValueError(f"{path} is no torch checkpoint (it starts with {start!r}): download it again")
    try:
        return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        unsupported = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"{path} holds more than tensors and plain values ({unsupported[1] if unsupported else 'a pickle'}), so "
            "that reading it may run code: if you trust its source, pass allow_pickle=True"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged: download it again ({error})") from error
