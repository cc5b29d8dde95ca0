"""Recordings of one machine type in the layout of DCASE Task 2 of 2020.

<machine_type>/train/normal_id_<NN>_<nnnnnnnn>.wav
<machine_type>/test/<normal or anomaly>_id_<NN>_<nnnnnnnn>.wav   development set
<machine_type>/test/id_<NN>_<nnnnnnnn>.wav                       evaluation set
"""

import re
from pathlib import Path

from modeling_retainmix.audio_files import list_audio_files

_NAME = re.compile(r"(?:(?P<label>normal|anomaly)_)?id_(?P<section>\d+)_\d+")
_RULE = "[<normal|anomaly>_]id_<NN>_<nnnnnnnn>"


def is_name_of_2020(stem: str) -> bool:
    """Whether a file name (without suffix) follows the rule of 2020."""
    return _NAME.fullmatch(stem) is not None


def read_dcase_2020(machine: Path) -> list[dict[str, str]]:
    """List the recordings in the folders `train` and `test` of a machine type.

    That year knew no domains: all recordings count as source. Machine ids are sections.

    Returns:
        Rows of a table of recordings, sorted by path; `label` is empty where the name does not tell it.

    Raises:
        ValueError: an empty folder, a file that breaks the naming rule, or a reference that is not named normal.
    """
    rows = []
    for split in ("train", "test"):
        if not (machine / split).is_dir():
            continue
        for path in list_audio_files(machine / split):
            match = _NAME.fullmatch(path.stem)
            if match is None:
                raise ValueError(
                    f"{path} breaks the naming rule of 2020, {_RULE}: rename or remove it, "
                    "or list all recordings in a metadata.csv"
                )
            if split == "train" and match["label"] != "normal":
                raise ValueError(f"{path} is not named normal, as references must be: move it to test or rename it")
            row = {"path": str(path), "machine_type": machine.name, "section": match["section"], "domain": "source"}
            row |= {"split": split, "label": match["label"] or "", "attributes": "", "factory": "", "fault": ""}
            rows.append(row)
    return rows
