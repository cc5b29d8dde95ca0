"""Typing errors among the keys of configurations and feature extractors."""

from collections.abc import Iterable
from difflib import get_close_matches

# "hiden_size" and "hidden_dropout_prob" are found, "batch_norm_eps" is not taken for "layer_norm_eps".
_SIMILARITY = 0.84


def near_miss(key: str, known: Iterable[str]) -> str | None:
    """The known key that `key` looks like a typing error of, or None."""
    matches = get_close_matches(key, known, n=1, cutoff=_SIMILARITY)
    return matches[0] if matches else None
