"""P-values of clips from the scores of normal ones, and lists of anomalies with a bounded share of false ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.domain_scores import DomainScores
from modeling_retainmix.detection.settings import DetectorSettings
from modeling_retainmix.detection.threshold import CalibrationScores
from modeling_retainmix.detection.vector_layout import VectorLayout
from modeling_retainmix.detection.windows import Reduction

SMALLEST_P = 0.05  # p-values come from enough normal recordings for it, where there are so many


class Anomaly(NamedTuple):
    """A clip in a list of anomalies.

    Attributes:
        position: among the clips of the call.
        name: of the clip.
        score: higher is more anomalous.
        p_value: see `conformal_p_values`.
        false_discovery_rate: the smallest one at which the clip is in the list (Benjamini-Hochberg adjusted p-value).
    """

    position: int
    name: str
    score: float
    p_value: float
    false_discovery_rate: float


def conformal_p_values(scores: np.ndarray, normal: CalibrationScores) -> np.ndarray:
    """Return how likely a normal clip would score at least as high: [clips] float64.

    (1 + sum of the weights of normal scores that are no smaller) / (number of units + 1), where the scores of a
    recording or group share the weight of one (Lee, Barber and Willett, "Distribution-free inference with hierarchical
    data"). With `num_stretches` m of the clip, its score is the largest of m parts: 1 - (1 - p)^m. So the smallest
    p-value of n units is 1 / (n + 1), and 1 - (1 - 1 / (n + 1))^m.

    Args:
        scores: [clips], NaN where there is none; its p-value is NaN.
        normal: scores of normal stretches; `recording` is the unit of each.
    """
    values, weights, count = _weighted(normal)
    order = np.argsort(values, kind="stable")
    not_below = np.append(np.cumsum(weights[order][::-1])[::-1], 0.0)
    reached = not_below[np.searchsorted(values[order], scores, side="left")]
    return np.where(np.isnan(scores), np.nan, _of_clip((1 + reached) / (count + 1), normal.num_stretches))


def normal_p_values(
    scores: np.ndarray, normal: NormalScores, num_windows: int, reduce: Reduction, rate: float
) -> np.ndarray:
    """Return the p-values of clips of one length, [clips] float64, see `conformal_p_values`.

    Where references have joined held-out recordings that are too few, a clip that scores no higher than one of these
    has the p-value that they alone give it, if it is larger.

    Args:
        scores: [clips], NaN where there is none.
        normal: of the windows of normal recordings.
        num_windows: of each clip.
        reduce: how windows make the score of a clip.
        rate: the smallest p-value that is asked for, see `NormalScores.stretches`.
    """
    p_values = conformal_p_values(scores, normal.stretches(num_windows, reduce, rate))
    held_out = normal.held_out_beside_references()
    if held_out is None:
        return p_values
    stretches = held_out.stretches(num_windows, reduce, rate)
    alone = np.where(scores > stretches.values.max(), 0.0, conformal_p_values(scores, stretches))
    return np.maximum(p_values, alone)


class CrossScores:
    """Scores by references without one unit, for every unit in turn.

    A reference that is left out is scored by fewer references than a new clip, and so scores higher: of few groups a
    threshold from such scores is too high. Here a new clip meets the same references as the one it is compared with
    (cross-conformal prediction, Vovk, arXiv 1208.0806): p = (1 + sum over units u of the share of u's scores without u
    that are no smaller than the clip's score without u) / (number of units + 1). A rate r holds at 2 r whatever the
    distribution (jackknife+, Barber et al., arXiv 1905.02928), and at about r as a rule.

    Args:
        settings: of the detector.
        vectors: [n, D] references.
        unit: [n] what each belongs to.
        is_target_domain: [n] bool.
        layout: of a vector.

    Attributes:
        units: [u] the units, ascending.

    Raises:
        ValueError: there is one unit only.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        vectors: torch.Tensor,
        unit: np.ndarray,
        is_target_domain: torch.Tensor,
        layout: VectorLayout,
    ) -> None:
        self.units = np.unique(unit)
        if len(self.units) < 2:
            raise ValueError(
                "the references are of one session, which cannot be left out: add recordings of another one"
            )
        self._models = []
        self.values = np.empty(len(unit))  # of the references, each by the model without its unit
        index = torch.from_numpy(unit)
        for left_out in self.units:
            kept = index != int(left_out)
            rows = kept.to(vectors.device)
            model = DomainScores(settings, vectors[rows], index[kept], is_target_domain[kept], layout)
            self._models.append(model)
            self.values[~kept.numpy()] = model.scores(vectors[~rows])

    def scores(self, queries: torch.Tensor) -> torch.Tensor:
        """Score queries [n, D] without each unit: [n, units] float64."""
        return torch.from_numpy(np.stack([model.scores(queries) for model in self._models], axis=1))

    def p_values(
        self, clip_scores: np.ndarray, normal: NormalScores, num_windows: np.ndarray, settings: DetectorSettings
    ) -> np.ndarray:
        """Return the p-values of clips, [clips] float64.

        Args:
            clip_scores: [clips, units] as `scores`, reduced over the windows of each clip; NaN where there is none.
            normal: windows of the references, with `values` of this class.
            num_windows: [clips].
            settings: of the detector.
        """
        p_values = np.full(len(clip_scores), np.nan)
        for count in np.unique(num_windows[num_windows > 0]):
            rows = num_windows == count
            stretches = normal.stretches(int(count), settings.reduce, SMALLEST_P)
            values, weights, _ = _weighted(stretches)
            total = np.ones(int(rows.sum()))
            for column, unit in enumerate(self.units):
                own = stretches.recording == unit
                total += weights[own] @ (values[own][:, None] >= clip_scores[rows, column])
            num_units = len(np.unique(stretches.recording))
            p_values[rows] = _of_clip(total / (num_units + 1), stretches.num_stretches)
        return p_values


def discoveries(
    names: Sequence[str], scores: np.ndarray, p_values: np.ndarray, false_discovery_rate: float
) -> list[Anomaly]:
    """List clips of which at most a share is expected to be normal, most anomalous first.

    The rule of Benjamini and Hochberg (1995), valid for conformal p-values, which depend on each other through the
    normal scores (Bates et al., "Testing for outliers with conformal p-values", arXiv 2104.08279).

    Args:
        names: of all clips.
        scores: [clips].
        p_values: [clips], NaN for clips that take no part.
        false_discovery_rate: the share, between 0 and 1.

    Raises:
        ValueError: the rate is out of range.
    """
    if not 0 < false_discovery_rate < 1:
        raise ValueError(f"false_discovery_rate={false_discovery_rate} is not a valid rate: use one between 0 and 1")
    tested = np.flatnonzero(~np.isnan(p_values))
    adjusted = stats.false_discovery_control(p_values[tested]) if len(tested) else np.empty(0)
    found = [
        Anomaly(index, names[index], float(scores[index]), float(p_values[index]), rate)
        for index, rate in zip(tested.tolist(), adjusted.tolist(), strict=True)
        if rate <= false_discovery_rate + 1e-12
    ]
    return sorted(found, key=lambda anomaly: (anomaly.p_value, -anomaly.score))


def _weighted(normal: CalibrationScores) -> tuple[np.ndarray, np.ndarray, int]:
    """Return values, the weight of each, and the number of units, whose weights add up to 1 each."""
    _, index, counts = np.unique(normal.recording, return_inverse=True, return_counts=True)
    return normal.values, 1 / counts[index], len(counts)


def _of_clip(p_values: np.ndarray, num_stretches: float) -> np.ndarray:
    """P-values of clips from those of their largest part."""
    with np.errstate(divide="ignore"):
        return p_values if num_stretches == 1 else -np.expm1(num_stretches * np.log1p(-p_values))
