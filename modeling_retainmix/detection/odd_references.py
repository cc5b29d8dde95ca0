"""References that are far from all others: thresholds rise to their scores, and faults below them are missed."""

from collections.abc import Sequence

import numpy as np

from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.trait_differences import find_differences
from modeling_retainmix.detection.windows import Windows

# So many times the median of the references. Of 115 draws of 10 to 30 healthy references (two real machines, six of
# the factory) none has one above it; with one of 8 kHz among them 112 have, with one of noise alone 96.
_ODD_FACTOR = 6.0
_LEAST_UNITS = 8  # of fewer the median says little
_SHOWN = 5


def describe_odd_references(
    scores: NormalScores,
    names: Sequence[str],
    traits: np.ndarray,
    windows: Windows,
    max_frequency: float | None = None,
    since: int = 0,
) -> str | None:
    """Name references whose score, each left out, is more than six times the median of all.

    Args:
        scores: of the references' windows.
        names: of the references.
        traits: [references, traits] as in `Traits`.
        windows, max_frequency: of the detector.
        since: the first of the references that are new: earlier ones are not named again.

    Returns:
        The message; None: there are none, or the references are too few to tell.
    """
    if scores.num_units < _LEAST_UNITS:
        return None
    recordings = np.unique(scores.recording)
    highest = np.asarray([scores.values[scores.recording == one].max() for one in recordings])
    median = float(np.median(highest))
    is_odd = highest > _ODD_FACTOR * median
    order = np.argsort(-highest, kind="stable")
    odd = [int(one) for one in order if is_odd[one] and recordings[one] >= since]
    if not odd or median <= 0:
        return None
    usual = traits[recordings[~is_odd]]
    shown = []
    for one in odd[:_SHOWN]:
        facts = _facts(traits[recordings[one]], usual, windows, max_frequency)
        shown.append(f"{names[recordings[one]]} scores {highest[one]:.4g}{facts}")
    if len(odd) > _SHOWN:
        shown.append(f"and {len(odd) - _SHOWN} more")
    subject = "1 reference is" if len(odd) == 1 else f"{len(odd)} references are"
    return (
        f"{subject} unlike all others: {'; '.join(shown)}; the median of the references is {median:.4g}. Thresholds "
        "rise to such scores, and faults below them are missed: listen to what is named, and fit again without it if "
        "it is not the healthy machine as it is usually recorded"
    )


def _facts(one: np.ndarray, usual: np.ndarray, windows: Windows, max_frequency: float | None) -> str:
    """Say in what the making of a recording differs from the others, in parentheses."""
    facts = [difference.fact() for difference in find_differences(one[None], usual, windows, max_frequency)]
    return f" ({'; '.join(facts)})" if facts else ""
