"""Domains told by an engineer's words: most recordings are of the usual conditions, the few others of changed ones."""

from collections import Counter
from collections.abc import Sequence

_DOMAINS = {"source", "target"}


def domains_of_conditions(names: Sequence[str], conditions: Sequence[str]) -> list[str]:
    """Return the domain of each recording, "source" or "target".

    The condition that most recordings share is the source, all others together are the target. Conditions that are
    called "source" and "target" are these, whatever their numbers; a single condition is the source.

    Args:
        names: of the recordings.
        conditions: of each recording, such as the folder it lies in.

    Raises:
        ValueError: two conditions share the largest number of recordings, or only some are called source and target.
    """
    counts = Counter(conditions)
    if counts.keys() <= _DOMAINS:
        return list(conditions)
    odd = next((name for name, one in zip(names, conditions, strict=True) if one in _DOMAINS), None)
    if odd is not None:
        raise ValueError(
            f"{odd} has the domain as its condition, and others have {', '.join(sorted(counts.keys() - _DOMAINS))}: "
            "call all conditions source or target, or none"
        )
    (usual, most), *others = counts.most_common()
    if others and others[0][1] == most:
        raise ValueError(
            f"the conditions {usual} and {others[0][0]} have {most} recordings each, so neither is the usual one: "
            "call them source (most recordings) and target (the few from changed conditions)"
        )
    return ["source" if one == usual else "target" for one in conditions]
