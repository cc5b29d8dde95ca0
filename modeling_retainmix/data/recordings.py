"""Recordings of machines in any public layout, as one table: the reader that decides by what it finds."""

import os
import re
from collections import Counter
from pathlib import Path

from datasets import Dataset

from modeling_retainmix.data.layouts.columns import SUPPLEMENTAL, recordings_table
from modeling_retainmix.data.layouts.dcase import read_dcase_layouts
from modeling_retainmix.data.layouts.dcase_2020 import is_name_of_2020
from modeling_retainmix.data.layouts.dcase_sections import FOLDERS_OF_2021
from modeling_retainmix.data.layouts.ground_truth import merge_ground_truth
from modeling_retainmix.data.layouts.hub_dataset import read_hub_table
from modeling_retainmix.data.layouts.metadata_csv import has_metadata, read_metadata_folder

MACHINE_COLUMNS = ("machine_type", "attributes")


def read_recordings(
    root: str | os.PathLike[str], ground_truth: str | os.PathLike[str] | None = None, split: str | None = None
) -> Dataset:
    """List the recordings of a data set; sound is not opened (`decode_table` does, and lists what it cannot decode).

    Args:
        root: a folder with a `metadata.csv` (`read_metadata_folder`); a folder in a layout of DCASE Task 2, 2020 to
            2026, MIMII DG or ToyADMOS2+, or with any file names in `<machine>/train` (`read_dcase_layouts`); or else
            the name of a data set on the Hub (`read_hub_table`).
        ground_truth: folder of the official ground truth of an evaluation set, whose tests have no labels in their
            names.
        split: "train" (references) or "test": only these recordings; None: all, supplemental ones too.

    Returns:
        A table with the string columns path, machine_type, section, domain ("source" or "target"), split ("train",
        "test" or "supplemental"), label ("normal" or "anomaly"; "noise" for supplemental noise), attributes, factory
        and fault. What a layout does not tell is empty: label and domain of tests without their ground truth. From the
        Hub, columns `audio` and `file_name` stand in place of `path`.

    Raises:
        FileNotFoundError: the folder or data set does not exist, or a file that another one lists.
        ValueError: a file breaks a rule of its layout (the message names both), or no recording is of the split.
    """
    folder = Path(root)
    if not folder.is_dir():
        if re.fullmatch(r"[\w.-]+/[\w.-]+", str(root)) is None:
            raise FileNotFoundError(f"{root} does not exist or is not a folder: check the path")
        if ground_truth is not None:
            raise ValueError(
                f"{root} is not a folder, so ground_truth={str(ground_truth)!r} does not fit: leave it out"
            )
        return read_hub_table(str(root), split)
    rows = read_metadata_folder(folder) if has_metadata(folder) else read_dcase_layouts(folder)
    if ground_truth is not None:
        rows = merge_ground_truth(rows, ground_truth)
    chosen = [row for row in rows if split in (None, row["split"])]
    if not chosen:
        raise ValueError(f"{root} holds {len(rows)} recordings, but none of the split {split!r}: check the path")
    return recordings_table(chosen)


def read_evaluation_recordings(
    root: str | os.PathLike[str], ground_truth: str | os.PathLike[str] | None = None
) -> Dataset:
    """List the references and the tests of a data set in any layout; supplemental recordings are left out.

    Args:
        root: folder or name of a data set on the Hub, as `read_recordings` takes it.
        ground_truth: folder of the official ground truth, for tests without labels in their names.

    Returns:
        The table of `read_recordings`, in which every section of a machine type (in 2020: every machine id) has
        references, and tests of both labels.

    Raises:
        FileNotFoundError, ValueError: as in `read_recordings`; a section without references, or whose tests lack their
            labels or domains, or one of both labels.
    """
    table = read_recordings(root, ground_truth)
    table = table.select([row for row, split in enumerate(table["split"]) if split != SUPPLEMENTAL])
    columns = ("machine_type", "section", "split", "label", "domain")
    clips = Counter(zip(*(table[column][:] for column in columns), strict=True))
    for machine_type, section in sorted({cell[:2] for cell in clips}):
        place = f"the machine type {machine_type} (section {section})"
        found = {cell[2:]: count for cell, count in clips.items() if cell[:2] == (machine_type, section)}
        tests = {cell: count for cell, count in found.items() if cell[0] == "test"}
        unlabeled = sum(count for (_, label, domain), count in tests.items() if not label or not domain)
        if len(tests) == len(found):
            raise ValueError(f"{root} holds no references of {place}: add normal recordings")
        if unlabeled:
            raise ValueError(
                f"{root}: {unlabeled} of {sum(tests.values())} tests of {place} have no label or no domain: put "
                "them into test/normal and test/anomaly, name them as DCASE does, or give the folder of the official "
                "ground truth (--ground_truth)"
            )
        for label in ("normal", "anomaly"):
            if label not in {cell[1] for cell in tests}:
                raise ValueError(
                    f"{root} holds no {label} test of {place} among its {sum(tests.values())}: a score needs both "
                    "labels, add such recordings or take the section out"
                )
    return table


def read_training_machines(source: str) -> Dataset:
    """List normal machine sounds.

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


def scoring_rules(table: Dataset) -> int:
    """The year of DCASE Task 2 by whose rules a table of recordings is scored, as `dcase_score` takes it.

    Names tell 2020 (ids and no domains), folders 2021 (tests apart by domain); all else, and several years together,
    have the rules of 2022 on, here 2023.
    """
    paths = [Path(name) for name in table["path" if "path" in table.column_names else "file_name"]]
    if "target" not in table["domain"][:] and all(is_name_of_2020(path.stem) for path in paths):
        return 2020
    tests = [path for path, split in zip(paths, table["split"], strict=True) if split == "test"]
    return 2021 if tests and all(FOLDERS_OF_2021.intersection(path.parts) for path in tests) else 2023
