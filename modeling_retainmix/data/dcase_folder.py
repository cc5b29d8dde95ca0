"""Recordings in the folder layout of DCASE Task 2 (2022 and later) as one table.

    <root>/<machine_type>/train/section_<NN>_<domain>_train_normal_<nnnn>_<attributes>.wav
    <root>/<machine_type>/test/section_<NN>_<domain>_test_<normal or anomaly>_<nnnn>_<attributes>.wav

WAV or FLAC; attributes may be missing. A root that itself holds `train` and `test` is one machine type.
"""

import os
import re
from pathlib import Path

from datasets import Dataset, Features, Value

from modeling_retainmix.audio import AUDIO_SUFFIXES

COLUMNS = ("path", "machine_type", "section", "domain", "split", "label", "attributes", "factory", "fault")
SPLITS = ("train", "test")
SUFFIXES = (".wav", ".flac")

_NAME = re.compile(
    r"section_(?P<section>\d+)_(?P<domain>source|target)_(?P<split>train|test)_(?P<label>normal|anomaly)"
    r"_\d+(?:_(?P<attributes>.*))?"
)
_RULE = "section_<NN>_<source|target>_<train|test>_<normal|anomaly>_<nnnn>[_<attributes>].<wav|flac>"


def read_dcase_folder(root: str | os.PathLike[str]) -> Dataset:
    """Lists the recordings of one or of several machine types.

    Args:
        root: folder of machine types, or of one machine type. Folders beside `train` and `test` in a machine type,
            such as `supplemental`, are not read.

    Returns:
        A table with the string columns path, machine_type, section, domain, split, label, attributes, factory and
        fault (the last two empty), sorted by path within machine type and split.

    Raises:
        FileNotFoundError: there is no such folder, or a machine type lacks its `train` or `test` folder.
        ValueError: an empty folder, a file that breaks the naming rule or lies in the wrong folder, a machine type
            without references or whose tests lack one label.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} does not exist or is no folder: check the path")
    rows: list[dict[str, str]] = []
    for machine in _machine_folders(root):
        references, tests = (_read_split(machine, split) for split in SPLITS)
        labels = {row["label"] for row in tests}
        for label in ("normal", "anomaly"):
            if label not in labels:
                raise ValueError(
                    f"{machine / 'test'} holds no {label} clip among its {len(tests)}: a score needs both labels, "
                    f"add clips named {_RULE}"
                )
        rows += references + tests
    return Dataset.from_list(rows, features=Features({name: Value("string") for name in COLUMNS}))


def parse_dcase_name(stem: str) -> dict[str, str] | None:
    """Section, domain, split, label and attributes that a file name (without suffix) tells; None: it tells none."""
    match = _NAME.fullmatch(stem)
    return None if match is None else match.groupdict(default="")


def _machine_folders(root: Path) -> list[Path]:
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if any(folder.name in SPLITS for folder in folders):
        return [root.resolve()]
    if not folders:
        raise ValueError(
            f"{root} holds no machine type: expected folders <machine_type>/train and <machine_type>/test"
        )
    return folders


def _read_split(machine: Path, split: str) -> list[dict[str, str]]:
    folder = machine / split
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} does not exist: a machine type needs the folders train and test")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        what = "the machine type has no references" if split == "train" else "the machine type has no tests"
        raise ValueError(f"{folder} holds no sound file, {what}: add clips named {_RULE}")
    return [_read_name(path, machine.name, split) for path in paths]


def _read_name(path: Path, machine_type: str, split: str) -> dict[str, str]:
    parts = parse_dcase_name(path.stem)
    if parts is None or path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path} breaks the naming rule {_RULE}: rename or remove it")
    if parts["split"] != split:
        raise ValueError(f"{path} is a {parts['split']} clip in the folder {split!r}: move or rename it")
    if split == "train" and parts["label"] != "normal":
        raise ValueError(f"{path} is labelled {parts['label']!r}, but references must be normal: move it to test")
    return {"path": str(path), "machine_type": machine_type, "factory": "", "fault": "", **parts}
