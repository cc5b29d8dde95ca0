"""Recordings to score a detector on: references and labelled tests of every machine type."""

import os
from collections import Counter

from datasets import Dataset

from modeling_retainmix.data.layouts.columns import SUPPLEMENTAL
from modeling_retainmix.data.recordings import read_recordings


def read_evaluation_recordings(
    root: str | os.PathLike[str], ground_truth: str | os.PathLike[str] | None = None
) -> Dataset:
    """Lists the references and the tests of a data set in any layout; supplemental recordings play no part.

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
        untold = sum(count for (_, label, domain), count in tests.items() if not label or not domain)
        if len(tests) == len(found):
            raise ValueError(f"{root} holds no references of {place}: add normal recordings")
        if untold:
            raise ValueError(
                f"{root}: {untold} of {sum(tests.values())} tests of {place} tell no label or no domain: give the "
                "folder of the official ground truth (--ground_truth), or name them as DCASE does"
            )
        for label in ("normal", "anomaly"):
            if label not in {cell[1] for cell in tests}:
                raise ValueError(
                    f"{root} holds no {label} test of {place} among its {sum(tests.values())}: a score needs both "
                    "labels, add such recordings or take the section out"
                )
    return table
