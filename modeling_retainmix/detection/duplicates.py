"""Recordings that are given twice: a copy says nothing of how far a new recording lies.

Leaving one recording out says how high a new normal clip scores only if no copy of it stays. Copies are found by
their content, whatever their names: also at another level or polarity, or written in another sample format.
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

NUM_VALUES = 64  # of a fingerprint

_TOLERANCE = 0.1  # relative distance of fingerprints: rounding 20 dB below the clip's high frequencies
_BLOCK = 1024  # recordings that are compared with all others at a time
_SIGNS = np.random.default_rng(0).choice(np.asarray([-1.0, 1.0]), 16384)


def fingerprint(waveform: np.ndarray) -> np.ndarray:
    """Summarize a clip so that copies are alike and other clips of the same machine are not.

    Of the clip's second differences, in which a hum or an offset that all recordings share hardly counts, every 64th
    is projected on a fixed pattern of random signs, and the result scaled to length 1: rounding to 16 bits moves it a
    little, another recording as far as a random vector lies away.

    Args:
        waveform: [samples] float.

    Returns:
        [`NUM_VALUES`] float32.
    """
    values = np.zeros(NUM_VALUES)
    for index, part in enumerate(np.array_split(np.diff(waveform.astype(np.float64), n=2), NUM_VALUES)):
        values[index] = part @ np.resize(_SIGNS, len(part))
    length = np.linalg.norm(values)
    return (values / length if length > 0 else values).astype(np.float32)


def group_copies(fingerprints: np.ndarray) -> np.ndarray:
    """Group recordings that are copies of each other.

    Args:
        fingerprints: [recordings, `NUM_VALUES`]; one that is NaN is a copy of nothing.

    Returns:
        [recordings] int64, the index of the first copy of each recording: its index if it has no copy.
    """
    values = np.nan_to_num(np.asarray(fingerprints, dtype=np.float32))
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for start in range(0, len(values), _BLOCK):
        likeness = np.abs(values[start : start + _BLOCK] @ values[start:].T)
        pairs.append(start + np.stack(np.nonzero(likeness >= 1 - _TOLERANCE**2 / 2)))  # |a - b|^2 = 2 - 2 a b
    rows, columns = np.concatenate(pairs, axis=1)
    is_copy = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(len(values),) * 2)
    _, labels = connected_components(is_copy, directed=False)
    _, first = np.unique(labels, return_index=True)
    return first[labels].astype(np.int64)


def describe_copies(
    first_copy: np.ndarray, names: Sequence[str], since: int = 0, place: str = "references"
) -> str | None:
    """Name the copies among recordings in one message; None: all are different.

    Args:
        first_copy: [recordings] of `group_copies`.
        names: of the recordings.
        since: name only groups with a recording from this index on.
        place: what the recordings are.
    """
    repeated, counts = np.unique(first_copy, return_counts=True)
    groups = [np.flatnonzero(first_copy == first) for first in repeated[counts > 1]]
    copies = [group for group in groups if group[-1] >= since]
    if not copies:
        return None
    named = "; ".join(" = ".join(names[int(index)] for index in group) for group in copies[:5])
    rest = f"; and {len(copies) - 5} more" if len(copies) > 5 else ""
    return (
        f"the same recording is given more than once among the {place}: {named}{rest}: copies count as one recording "
        "in thresholds; remove all but one"
    )
