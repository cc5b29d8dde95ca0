"""References that are far from all others: thresholds rise to their scores, and faults below them are missed."""

from collections.abc import Sequence

import numpy as np

from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.trait_differences import find_differences
from modeling_retainmix.detection.windows import Windows

# So many times the median of the domain: see `retainmix studies odd_references`.
_ODD_FACTOR = 6.0
LEAST_UNITS = 8  # of fewer the median says little
_SHOWN = 5


def describe_odd_references(
    scores: NormalScores,
    names: Sequence[str],
    traits: np.ndarray,
    windows: Windows,
    max_frequency: float | None = None,
    since: int = 0,
) -> str | None:
    """Name references whose score, each left out, is more than six times the median of their domain.

    Args:
        scores: of the references' windows; `part` is the domain.
        names: of the references.
        traits: [references, traits] as in `Traits`.
        windows, max_frequency: of the detector.
        since: the first of the references that are new: earlier ones are not named again.

    Returns:
        The message; None: there are none, or the references are too few to tell.
    """
    named: list[tuple[float, str]] = []
    for part in np.unique(scores.part):
        of_part = scores.of(scores.part == part)
        if of_part.num_units < LEAST_UNITS:
            continue
        recordings, starts = np.unique(of_part.recording, return_index=True)
        highest = np.maximum.reduceat(of_part.values, starts)
        median = float(np.median(highest))
        if median <= 0:  # of a backend whose scores have no zero
            continue
        is_odd = highest > _ODD_FACTOR * median
        usual = traits[recordings[~is_odd]]
        for recording, score in zip(recordings[is_odd], highest[is_odd], strict=True):
            if recording >= since:
                facts = _facts(traits[recording], usual, windows, max_frequency)
                named.append((score, f"{names[recording]} scores {score:.4g}, the median is {median:.4g}{facts}"))
    if not named:
        return None
    shown = [text for _, text in sorted(named, reverse=True)[:_SHOWN]]
    if len(named) > _SHOWN:
        shown.append(f"and {len(named) - _SHOWN} more")
    subject = "1 reference is" if len(named) == 1 else f"{len(named)} references are"
    return (
        f"{subject} unlike all others: {'; '.join(shown)}. Thresholds rise to such scores, and faults below them are "
        "missed: listen to what is named, and fit again without it if it is not the healthy machine as it is usually "
        "recorded"
    )


def _facts(one: np.ndarray, usual: np.ndarray, windows: Windows, max_frequency: float | None) -> str:
    """Say in what the making of a recording differs from the others, in parentheses."""
    facts = [difference.fact() for difference in find_differences(one[None], usual, windows, max_frequency)]
    return f" ({'; '.join(facts)})" if facts else ""
