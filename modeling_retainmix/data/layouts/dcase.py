"""Recordings in folders of machine types: the layouts of DCASE Task 2 of any year, whole or in part; plain names."""

import os
import re
from pathlib import Path

from modeling_retainmix.audio_files import is_sound_file, walk_folder
from modeling_retainmix.data.layouts.columns import SUPPLEMENTAL
from modeling_retainmix.data.layouts.dcase_2020 import is_name_of_2020, read_dcase_2020
from modeling_retainmix.data.layouts.dcase_sections import TEST_FOLDERS, read_dcase_sections
from modeling_retainmix.data.layouts.plain_names import read_plain_names

_FOLDERS = ("train", *TEST_FOLDERS, SUPPLEMENTAL)
_BEGINNING = re.compile(r"section_\d|((normal|anomaly)_)?id_\d")  # of the name of a recording of any year
_MEANT_AS_SUCH = re.compile(r"section|((normal|anomaly)_)?id_", re.IGNORECASE)  # also where it is misspelt


def read_dcase_layouts(root: str | os.PathLike[str]) -> list[dict[str, str]]:
    """List the recordings of every machine type below a folder.

    A machine type is a folder that holds `train`, `test`, `source_test`, `target_test` or `supplemental`; it may lie
    at any depth, as in `dev_data/raw/fan`, or be the root itself. Its file names tell whether it is of 2020 or later,
    or of no year where none of them begins as theirs do (`read_plain_names`). Other folders, such as `test_rename`,
    and other files are not read.

    Returns:
        Rows of a table of recordings, by path of the machine type.

    Raises:
        ValueError: no machine type, an empty folder, a file that breaks a rule, one that is named as a recording but
            of a format that is not read, or the same file name twice for one machine type and split (as when two years
            lie below the root).
    """
    machines = _machine_folders(Path(root))
    if not machines:
        raise ValueError(
            f"{root} holds neither a metadata.csv nor a machine type, which is a folder with one of the folders "
            f"{', '.join(_FOLDERS)}: check the path"
        )
    rows = []
    first: dict[tuple[str, str, str], str] = {}
    for machine in machines:
        is_plain = _is_plain(machine)
        for row in read_plain_names(machine) if is_plain else _read_year(machine):
            path = Path(row["path"])
            name = str(path.relative_to(machine)) if is_plain else path.stem
            if (key := (machine.name, row["split"], name)) in first:
                raise ValueError(
                    f"{path} has the name of {first[key]}, and both are {row['split']} clips of {machine.name}: read "
                    "one year at a time, or remove the copy"
                )
            first[key] = row["path"]
            rows.append(row)
    return rows


def _machine_folders(root: Path) -> list[Path]:
    machines = []
    for folder, children, _ in walk_folder(os.path.abspath(root)):
        if any(name in _FOLDERS for name in children):
            machines.append(folder)
            children.clear()  # a machine type holds no other
    return sorted(machines)


def _is_plain(machine: Path) -> bool:
    """Whether no recording of a machine type is named as in a year of DCASE Task 2, or meant to be."""
    folders = [name for name in _FOLDERS if (machine / name).is_dir()]
    names = [name for folder in folders for _, _, names in walk_folder(machine / folder) for name in names]
    return set(folders) <= {"train", "test"} and not any(_MEANT_AS_SUCH.match(name) for name in names)


def _read_year(machine: Path) -> list[dict[str, str]]:
    first = None
    for split in _FOLDERS:
        for folder, _, names in walk_folder(machine / split) if (machine / split).is_dir() else ():
            for name in names:
                is_sound = is_sound_file(folder / name)
                if _BEGINNING.match(name) and not is_sound:
                    raise ValueError(
                        f"{folder / name} is named as a recording but is not a sound file that can be read: "
                        "complete the download, convert it to WAV or FLAC, or remove it"
                    )
                if first is None and split in ("train", "test") and is_sound:
                    first = Path(name)
    is_2020 = first is not None and is_name_of_2020(first.stem)
    return read_dcase_2020(machine) if is_2020 else read_dcase_sections(machine)
