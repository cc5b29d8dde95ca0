"""Recordings in the folder layouts of DCASE Task 2 of any year, development or evaluation set, whole or in part."""

import os
import re
from pathlib import Path

from modeling_retainmix.audio_files import is_sound_file, walk_folder
from modeling_retainmix.data.layouts.columns import SUPPLEMENTAL
from modeling_retainmix.data.layouts.dcase_2020 import is_name_of_2020, read_dcase_2020
from modeling_retainmix.data.layouts.dcase_sections import TEST_FOLDERS, read_dcase_sections

_FOLDERS = ("train", *TEST_FOLDERS, SUPPLEMENTAL)
_BEGINNING = re.compile(r"section_\d|((normal|anomaly)_)?id_\d")  # of the name of a recording of any year


def read_dcase_layouts(root: str | os.PathLike[str]) -> list[dict[str, str]]:
    """List the recordings of every machine type below a folder.

    A machine type is a folder that holds `train`, `test`, `source_test`, `target_test` or `supplemental`; it may lie
    at any depth, as in `dev_data/raw/fan`, or be the root itself. Its file names tell whether it is of 2020 or later.
    Other folders, such as `test_rename`, and other files are not read.

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
    rows = [row for machine in machines for row in _read_machine(machine)]
    first: dict[tuple[str, str, str], str] = {}
    for row in rows:
        key = row["machine_type"], row["split"], Path(row["path"]).stem
        if key in first:
            raise ValueError(
                f"{row['path']} has the name of {first[key]}, and both are {row['split']} clips of {key[0]}: read one "
                "year at a time, or remove the copy"
            )
        first[key] = row["path"]
    return rows


def _machine_folders(root: Path) -> list[Path]:
    machines = []
    for folder, children, _ in walk_folder(os.path.abspath(root)):
        if any(name in _FOLDERS for name in children):
            machines.append(folder)
            children.clear()  # a machine type holds no other
    return sorted(machines)


def _read_machine(machine: Path) -> list[dict[str, str]]:
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
