"""Training recordings of the user's own: machine sounds in any layout, and noise with its classes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from modeling_retainmix.audio import list_audio_files
from modeling_retainmix.data.layouts.hub_dataset import load_splits
from modeling_retainmix.data.layouts.metadata_csv import has_metadata, read_entries
from modeling_retainmix.data.layouts.noise import noise_class
from modeling_retainmix.data.recordings import read_recordings

MACHINE_COLUMNS = ("machine_type", "attributes")
NOISE_COLUMNS = ("noise_class",)


def read_training_machines(source: str) -> Dataset:
    """Lists normal machine sounds.

    Args:
        source: a folder or a data set on the Hub, as `read_recordings` takes it; its references are read.

    Returns:
        A table with the string columns machine_type and attributes, and either path or (from the Hub) audio, an Audio
        feature that is not decoded.

    Raises:
        FileNotFoundError, ValueError: as in `read_recordings`.
    """
    table = read_recordings(source, split="train")
    return table.select_columns(["path" if "path" in table.column_names else "audio", *MACHINE_COLUMNS])


def read_training_noise(source: str) -> Dataset:
    """Lists noise.

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
        rows = [(path, _class(entry, where)) for path, entry, where in read_entries(folder)]
    else:
        rows = [(path, noise_class(path.stem)) for path in list_audio_files(folder)]
    return Dataset.from_dict({"path": [str(path) for path, _ in rows], "noise_class": [name for _, name in rows]})


def _class(entry: Mapping[str, Any], where: str) -> str:
    name = next((entry[column] for column in ("noise_class", "label") if column in entry), None)
    if not name:
        raise ValueError(f"{where} names no noise_class (or label), its columns are {', '.join(entry)}: add it")
    return str(name)
