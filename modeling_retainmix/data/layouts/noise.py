"""Noise recordings in folders named after their kind, as one table.

<root>/stationary/<class>_<number>.wav       (Factory A)
<root>/non_stationary/<class>_<number>.wav   (Factory B)
"""

import os
import re
from pathlib import Path

from datasets import Dataset, Features, Value

from modeling_retainmix.audio import list_audio_files
from modeling_retainmix.data.benchmark import KINDS

COLUMNS = ("path", "noise_class", "kind", "factory")


def read_noise_folder(root: str | os.PathLike[str]) -> Dataset:
    """Lists noise recordings.

    Args:
        root: a folder with the folders `stationary` and `non_stationary`; recordings may lie in subfolders of these.

    Returns:
        A table with the string columns path, noise_class (the file name without its last part where that holds a
        digit: `rain_heavy_12.wav` is of class `rain_heavy`), kind and factory (empty).

    Raises:
        FileNotFoundError: the folder, or one of the two in it, does not exist.
        ValueError: one of them holds no sound file.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} does not exist or is no folder: check the path")
    rows = []
    for kind in KINDS:
        if not (root / kind).is_dir():
            raise FileNotFoundError(f"{root / kind} does not exist: noise lies in {' and '.join(KINDS)}")
        rows += [
            {"path": str(path), "noise_class": noise_class(path.stem), "kind": kind, "factory": ""}
            for path in list_audio_files(root / kind)
        ]
    return Dataset.from_list(rows, features=Features({name: Value("string") for name in COLUMNS}))


def noise_class(stem: str) -> str:
    """Class that a file name (without suffix) tells: all but a last part which holds a digit."""
    return re.sub(r"_[^_]*\d[^_]*$", "", stem)
