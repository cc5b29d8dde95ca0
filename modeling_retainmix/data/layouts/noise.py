"""Noise recordings as one table: for a benchmark in folders named after their kind, for training in any layout.

<root>/stationary/<class>_<number>.wav       (Factory A)
<root>/non_stationary/<class>_<number>.wav   (Factory B)
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value

from modeling_retainmix.audio_files import list_audio_files, table_paths
from modeling_retainmix.data.benchmark import KINDS
from modeling_retainmix.data.layouts.hub_dataset import load_splits
from modeling_retainmix.data.layouts.metadata_csv import has_metadata, read_entries

COLUMNS = ("path", "noise_class", "kind", "factory")
NOISE_COLUMNS = ("noise_class",)
_CLASS_COLUMNS = ("noise_class", "label")


def read_noise_folder(root: str | os.PathLike[str]) -> Dataset:
    """List noise recordings.

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
        raise FileNotFoundError(f"{root} does not exist or is not a folder: check the path")
    rows = []
    for kind in KINDS:
        if not (root / kind).is_dir():
            raise FileNotFoundError(f"{root / kind} does not exist: noise lies in {' and '.join(KINDS)}")
        rows += [
            {"path": path, "noise_class": noise_class(Path(path).stem), "kind": kind, "factory": ""}
            for path in table_paths(list_audio_files(root / kind))
        ]
    return Dataset.from_list(rows, features=Features({name: Value("string") for name in COLUMNS}))


def read_training_noise(source: str) -> Dataset:
    """List noise.

    Args:
        source: a folder of sound files, whose names tell the class (as in `read_noise_folder`) where no `metadata.csv`
            has it in a column noise_class or label; or a data set on the Hub with such a column, of which the split
            `train` is read.

    Returns:
        A table with the string column noise_class, and either path or (from the Hub) audio, not decoded.

    Raises:
        FileNotFoundError: neither a folder nor a data set; or a file of the metadata does not exist.
        ValueError: the folder holds no sound, or a column is missing.
    """
    folder = Path(source)
    if not folder.is_dir():
        splits = load_splits(source)
        if "train" not in splits:
            raise ValueError(f"the data set {source} has the splits {', '.join(splits)}, but no split train: add it")
        table = splits["train"]
        classes = [_class(entry, f"the data set {source}") for entry in table.remove_columns(["audio"])]
        return table.select_columns(["audio"]).add_column("noise_class", classes)
    if has_metadata(folder):
        rows = [(path, _class(entry, where)) for path, entry, where in read_entries(folder, _CLASS_COLUMNS)]
    else:
        rows = [(path, noise_class(path.stem)) for path in list_audio_files(folder)]
    paths = table_paths(path for path, _ in rows)
    return Dataset.from_dict({"path": paths, "noise_class": [name for _, name in rows]})


def noise_class(stem: str) -> str:
    """Class that a file name (without suffix) tells: all but a last part which holds a digit."""
    return re.sub(r"_[^_]*\d[^_]*$", "", stem)


def _class(entry: Mapping[str, Any], where: str) -> str:
    name = next((entry[column] for column in _CLASS_COLUMNS if column in entry), None)
    if not name:
        raise ValueError(f"{where} names no noise_class (or label), its columns are {', '.join(entry)}: add it")
    return str(name)
