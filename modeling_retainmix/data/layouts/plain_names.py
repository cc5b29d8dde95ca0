"""Recordings of one machine type whose files may have any names: folders alone tell what they are.

<machine_type>/train/rec_001.wav
<machine_type>/test/normal/rec_101.wav
<machine_type>/test/anomaly/rec_201.wav     or test/abnormal/
<machine_type>/test/rec_301.wav             of which nobody knows the label
"""

from pathlib import Path

from modeling_retainmix.audio_files import list_audio_files

_LABELS = {"normal": "normal", "anomaly": "anomaly", "abnormal": "anomaly"}  # of a folder in `test`


def read_plain_names(machine: Path) -> list[dict[str, str]]:
    """List the recordings in the folders `train` and `test` of a machine type, and in their subfolders.

    Names tell no domain, section or attributes: all recordings count as source, of section 00.

    Returns:
        Rows of a table of recordings, sorted by path within split; `label` is empty of tests outside of the folders
        `normal`, `anomaly` and `abnormal`.

    Raises:
        ValueError: an empty folder, or references in a folder `anomaly` or `abnormal`.
    """
    rows = []
    for split in ("train", "test"):
        for path in list_audio_files(machine / split) if (machine / split).is_dir() else ():
            label = _LABELS.get(path.relative_to(machine / split).parts[0], "normal" if split == "train" else "")
            if split == "train" and label != "normal":
                raise ValueError(f"{path} lies in {path.parent}, but references must be normal: move it to test")
            row = {"path": str(path), "machine_type": machine.name, "section": "00", "domain": "source"}
            rows.append(row | {"split": split, "label": label, "attributes": "", "factory": "", "fault": ""})
    return rows
