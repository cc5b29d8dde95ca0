"""Training recordings of the user's own: a folder of machine sounds, a folder of noise, or data sets on the Hub.

A folder holds either the naming of DCASE Task 2, `<machine_type>/train/section_..._train_normal_....wav` (for noise:
any sound files, whose names tell the class, as in `read_noise_folder`), or a `metadata.csv` as the audiofolder loader
of `datasets` has it: a column `file_name` and the columns below.

    machine sounds   machine_type (or label), attributes (may be missing)
    noise            noise_class (or label)

A data set on the Hub has an audio column and the same columns.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Audio, ClassLabel, Dataset, Features, Value, load_dataset

from modeling_retainmix.audio import AUDIO_SUFFIXES, list_audio_files
from modeling_retainmix.data.dcase_folder import parse_dcase_name
from modeling_retainmix.data.noise_folder import noise_class

METADATA_NAME = "metadata.csv"
MACHINE_COLUMNS = ("machine_type", "attributes")
NOISE_COLUMNS = ("noise_class",)


def read_training_machines(source: str) -> Dataset:
    """Lists normal machine sounds.

    Args:
        source: folder, or name of a data set on the Hub, of which the split `train` is read.

    Returns:
        A table with the string columns machine_type and attributes, and either path or (from the Hub) audio, an Audio
        feature that is not decoded.

    Raises:
        FileNotFoundError: neither a folder nor a data set; or a file of the metadata does not exist.
        ValueError: the folder holds neither form, or a column is missing.
    """
    if not Path(source).is_dir():
        return _read_hub(source, MACHINE_COLUMNS)
    if (Path(source) / METADATA_NAME).is_file():
        return _read_metadata(Path(source), MACHINE_COLUMNS)
    return _table(_read_dcase_names(Path(source)), MACHINE_COLUMNS)


def read_training_noise(source: str) -> Dataset:
    """Lists noise; as `read_training_machines`, with the column noise_class in place of its two."""
    if not Path(source).is_dir():
        return _read_hub(source, NOISE_COLUMNS)
    if (Path(source) / METADATA_NAME).is_file():
        return _read_metadata(Path(source), NOISE_COLUMNS)
    paths = list_audio_files(source)
    return _table([{"path": str(path), "noise_class": noise_class(path.stem)} for path in paths], NOISE_COLUMNS)


def _read_dcase_names(root: Path) -> list[dict[str, str]]:
    machines = (
        [root.resolve()] if (root / "train").is_dir() else sorted(path for path in root.iterdir() if path.is_dir())
    )
    rows = []
    for machine in machines:
        for path in sorted((machine / "train").glob("*")):
            if path.suffix.lower() not in AUDIO_SUFFIXES:
                continue
            name = parse_dcase_name(path.stem)
            if name is None or name["label"] != "normal":
                raise ValueError(
                    f"{path} is not named as a normal DCASE clip (section_<NN>_<domain>_train_normal_<nnnn>...): "
                    f"rename or remove it, or list the clips in {root / METADATA_NAME}"
                )
            rows.append({"path": str(path), "machine_type": machine.name, "attributes": name["attributes"]})
    if not rows:
        raise ValueError(
            f"{root} holds neither {METADATA_NAME} nor sound files in <machine_type>/train: check the path"
        )
    return rows


def _read_metadata(root: Path, columns: Sequence[str]) -> Dataset:
    file = root / METADATA_NAME
    with file.open(newline="", encoding="utf-8") as lines:
        entries = list(csv.DictReader(lines))
    if not entries or "file_name" not in entries[0]:
        raise ValueError(f"{file} has no column file_name with the sound files: add it")
    names = _source_columns(list(entries[0]), columns, str(file))
    rows = []
    for entry in entries:
        path = root / entry["file_name"]
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist, but {file} lists it: add the file or remove the line")
        rows.append({"path": str(path)} | {column: entry[name] if name else "" for column, name in names.items()})
    return _table(rows, columns)


def _read_hub(name: str, columns: Sequence[str]) -> Dataset:
    try:
        table = load_dataset(name, split="train")
    except (OSError, ValueError) as error:  # no such folder, no such data set, no connection
        raise FileNotFoundError(f"{name} is neither a folder nor a data set with a split train ({error})") from error
    audio = [column for column, feature in table.features.items() if isinstance(feature, Audio)]
    if len(audio) != 1:
        raise ValueError(f"the data set {name} has {len(audio)} audio columns ({audio}), one is needed")
    names = _source_columns(table.column_names, columns, f"the data set {name}")
    table = table.cast_column(audio[0], Audio(decode=False)).rename_column(audio[0], "audio")
    result = table.select_columns(["audio"])
    for column, source in names.items():
        values: list[Any] = [""] * len(table) if source is None else table[source][:]
        feature = table.features.get(source)
        if isinstance(feature, ClassLabel):
            values = feature.int2str(values)
        result = result.add_column(column, [str(value) for value in values])
    return result


def _source_columns(present: Sequence[str], wanted: Sequence[str], where: str) -> dict[str, str | None]:
    """Where each wanted column comes from: its own name, or `label` for the first one; attributes may be missing."""
    first, *others = wanted
    source = next((name for name in (first, "label") if name in present), None)
    if source is None:
        raise ValueError(f"{where} has no column {first} (or label), its columns are {list(present)}: add it")
    return {first: source, **{name: name if name in present else None for name in others}}


def _table(rows: list[dict[str, str]], columns: Sequence[str]) -> Dataset:
    return Dataset.from_list(rows, features=Features(dict.fromkeys(("path", *columns), Value("string"))))
