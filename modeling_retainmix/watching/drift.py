"""Do the references still say what is normal? The level of what is called normal, compared with theirs."""

from collections.abc import Sequence
from typing import NamedTuple

from modeling_retainmix.watching.recording import Recording

NUM_COMPARED = 30


class Drift(NamedTuple):
    """Where the last normal recordings lie among the references.

    Attributes:
        num_compared: so many recordings are compared.
        num_above: of them score above three quarters of the references.
        is_told: whether there are enough to tell.
    """

    num_compared: int
    num_above: int
    is_told: bool

    @property
    def has_drifted(self) -> bool:
        """Whether the references are too old."""
        return self.is_told and 2 * self.num_above > self.num_compared

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if not self.is_told:
            return (
                f"Too early to tell whether the normal level has drifted: {self.num_compared} of {NUM_COMPARED} "
                "recordings that this detector called normal."
            )
        counts = (
            f"{self.num_above} of the last {self.num_compared} normal recordings score above three quarters of the "
            "references (about a quarter of them would if nothing had changed)"
        )
        if self.has_drifted:
            return (
                f"The normal level has drifted: {counts}. The references are too old: listen to recent recordings, "
                "confirm normal ones, or fit a new detector."
            )
        return f"The normal level holds: {counts}."


def measure_drift(recordings: Sequence[Recording]) -> Drift:
    """Compare the last recordings that were not called anomalous with the references.

    The normal level has drifted when the median of the last 30 lies beyond the upper quartile of the references, each
    of which is scored without itself (leave-one-out): when more than half of them score above that quartile. Of an
    unchanged machine, 16 or more of 30 independent recordings do so with a probability of 4.7 % (11 references), 1.8 %
    (20) or 0.3 % (100): the quartile is an estimate itself. Single outliers do not matter. Each recording has the
    quartile for its own length. Only recordings of the present detector count, since other references make other
    scores.

    Args:
        recordings: in the order of decisions.
    """
    judged = [one.judgement for one in recordings if one.judgement is not None]
    present = judged[-1].detector if judged else None
    normal = [
        (one.judgement.score, one.judgement.upper_quartile)
        for one in recordings
        if one.judgement is not None and one.judgement.detector == present and not one.is_anomalous
    ]
    compared = [(score, quartile) for score, quartile in normal if quartile is not None][-NUM_COMPARED:]
    num_above = sum(score > quartile for score, quartile in compared)
    return Drift(len(compared), num_above, len(compared) == NUM_COMPARED)
