"""Recordings to score a detector on: references and labelled tests of every machine type."""

import os
from collections import Counter

from datasets import Dataset

from modeling_retainmix.data.recording_columns import SUPPLEMENTAL
from modeling_retainmix.data.recordings import read_recordings


def read_evaluation_recordings(
    root: str | os.PathLike[str], ground_truth: str | os.PathLike[str] | None = None
) -> Dataset:
    """Lists the references and the tests of a data set in any layout; supplemental recordings play no part.

    The sections of a machine type (its machine ids in the layout of 2020) are scored together.

    Args:
        root: folder or name of a data set on the Hub, as `read_recordings` takes it.
        ground_truth: folder of the official ground truth, for tests without labels in their names.

    Returns:
        The table of `read_recordings`, in which every machine type has references, and tests of both labels.

    Raises:
        FileNotFoundError, ValueError: as in `read_recordings`; a machine type without references, or whose tests lack
            their labels or domains, or one of both labels.
    """
    table = read_recordings(root, ground_truth)
    table = table.select([row for row, split in enumerate(table["split"]) if split != SUPPLEMENTAL])
    clips = Counter(zip(*(table[column][:] for column in ("machine_type", "split", "label", "domain")), strict=True))
    for machine_type in sorted(set(table["machine_type"])):
        found = {cell[1:]: count for cell, count in clips.items() if cell[0] == machine_type}
        tests = {cell: count for cell, count in found.items() if cell[0] == "test"}
        untold = sum(count for (_, label, domain), count in tests.items() if not label or not domain)
        if len(tests) == len(found):
            raise ValueError(f"{root} holds no references of the machine type {machine_type}: add normal recordings")
        if untold:
            raise ValueError(
                f"{root}: {untold} of {sum(tests.values())} tests of the machine type {machine_type} tell no label or "
                "no domain: give the folder of the official ground truth (--ground_truth), or name them as DCASE does"
            )
        for label in ("normal", "anomaly"):
            if label not in {cell[1] for cell in tests}:
                raise ValueError(
                    f"{root} holds no {label} test of the machine type {machine_type} among its "
                    f"{sum(tests.values())}: a score needs both labels, add such recordings"
                )
    return table
