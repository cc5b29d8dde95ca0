"""Many machines: a folder of machines holds a folder of each, with its references and tests below it or in it."""

import os
from pathlib import Path
from typing import Literal

from modeling_retainmix.audio_files import shown_name, walk_folder

Part = Literal["train", "test"]


def machine_folders(root: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the folder of each machine, by its name, sorted.

    Args:
        root: the folder of machines; hidden folders and those of systems in it are no machines.

    Raises:
        FileNotFoundError: it does not exist.
        ValueError: it holds no folder.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"{shown_name(root)} does not exist or is not a folder: check the path")
    _, names, _ = next(walk_folder(root), (root, [], []))
    if not names:
        raise ValueError(f"{shown_name(root)} holds no folder: make one for each machine, with its recordings")
    return {name: Path(root) / name for name in names}


def part_of_machine(folder: str | os.PathLike[str], part: Part) -> Path:
    """Return where a machine's references ("train") or tests ("test") lie: the subfolder of that name, or itself."""
    inside = Path(folder) / part
    return inside if inside.is_dir() else Path(folder)
