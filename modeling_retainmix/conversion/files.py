"""Finding and reading the files of a checkpoint: a file, a folder or a Hub repository."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
import yaml
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors.torch import load_file

WEIGHT_SUFFIXES = (".pt", ".pth", ".safetensors")
WEIGHT_PATTERNS = ("*.pth", "*epoch*.pt", "*checkpoint*.pt", "*.safetensors")
CONFIG_PATTERNS = ("*config.yaml", "*config.json")


def find_folder_or_file(
    name: str | Path,
    patterns: tuple[str, ...] = WEIGHT_PATTERNS + CONFIG_PATTERNS,
    revision: str | None = None,
) -> Path:
    """A path as it is, or the local copy of a Hub repository of that name.

    Args:
        name: file, folder, or `owner/repository` on the Hub.
        patterns: which files of a repository to download.
        revision: branch, tag or commit on the Hub; None: the main branch.

    Raises:
        FileNotFoundError: neither on this machine nor on the Hub.
    """
    path = Path(name)
    if path.exists():
        return path
    try:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
            raise HFValidationError(f"{name} is not a name of a repository")
        return Path(snapshot_download(str(name), revision=revision, allow_patterns=list(patterns)))
    except LocalEntryNotFoundError as error:
        raise FileNotFoundError(
            f"{name} is not a path here, and the Hub cannot be reached: download it first"
        ) from error
    except (HFValidationError, RepositoryNotFoundError) as error:
        raise FileNotFoundError(f"{name} is neither a path here nor a repository on the Hub: check it") from error
    except (HfHubHTTPError, OSError) as error:
        raise FileNotFoundError(f"{name} is not a path here, and the Hub answered with an error: {error}") from error


def find_weights(location: Path) -> Path:
    """The one file of weights in a folder, however deep, or the file itself.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: it holds several.
    """
    if location.is_file():
        return location
    found = sorted(path for path in location.rglob("*") if path.suffix in WEIGHT_SUFFIXES and path.is_file())
    if not found:
        raise FileNotFoundError(
            f"{location} holds no file ending in {', '.join(WEIGHT_SUFFIXES)}: pass another folder"
        )
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(location)) for path in found[:5])
        raise ValueError(f"{location} holds {len(found)} files of weights ({names}): pass the one to convert")
    return found[0]


def find_config(location: Path, weights: Path) -> dict[str, Any] | None:
    """The `config.yaml` or `config.json` that belongs to a file of weights, or None.

    The nearest one counts: beside the weights, else in the folders above up to `location`, else the only one below.
    """
    root = location if location.is_dir() else location.parent
    for folder in (weights.parent, *weights.parent.parents):
        for name in ("config.yaml", "config.json"):
            if (folder / name).is_file():
                return read_config(folder / name)
        if folder == root:
            break
    below = sorted(root.rglob("config.yaml")) if location.is_dir() else []
    return read_config(below[0]) if len(below) == 1 else None


def read_config(path: Path) -> dict[str, Any]:
    """A YAML or JSON file that must hold a mapping."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not a configuration: use a mapping")
    return content


def load_weights(path: Path, allow_pickle: bool = False) -> Any:
    """Read a file of weights on the CPU; without `allow_pickle` nothing in it is run.

    Raises:
        ValueError: no torch or safetensors file, a damaged one, or one that holds more than tensors and plain values.
    """
    if path.suffix == ".safetensors":
        return load_file(path)
    with path.open("rb") as file:
        start = file.read(2)
    if start not in (b"PK", b"\x80\x02"):  # a zip archive, or a pickle as torch wrote it before 1.6
        raise ValueError(f"{path} is not a torch checkpoint (it starts with {start!r}): download it again")
    try:
        return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except pickle.UnpicklingError as error:
        unsupported = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"{path} holds more than tensors and plain values ({unsupported[1] if unsupported else 'a pickle'}), so "
            "that reading it may run code: if you trust its source, use convert_checkpoint with allow_pickle=True"
        ) from error
    except (RuntimeError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged: download it again ({error})") from error


def load_exactly(model: torch.nn.Module, tensors: dict[str, torch.Tensor], source: str | Path) -> None:
    """Load tensors that must be exactly the model's, by name and shape.

    Raises:
        ValueError: one is missing, unknown or of another shape; the first is named.
    """
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{source}: the configuration calls for {name} {expected.get(name, '(absent)')}, "
                f"the checkpoint holds {found.get(name, '(absent)')}"
            )
    model.load_state_dict(tensors)
