"""How well the tags of a validation split are found."""

import numpy as np
from sklearn.metrics import average_precision_score


def macro_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the average precision of every class, averaged over the classes that occur among the clips.

    Args:
        scores: logits or probabilities, [clips, classes].
        labels: multi-hot, [clips, classes].

    Returns:
        In [0, 1].

    Raises:
        ValueError: no class occurs.
    """
    occurring = labels.any(axis=0)
    if not occurring.any():
        raise ValueError(f"none of the {labels.shape[1]} classes occurs in the {len(labels)} clips: add clips")
    return float(average_precision_score(labels[:, occurring], scores[:, occurring], average="macro"))
