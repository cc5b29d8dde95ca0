"""From scores to decisions: thresholds, p-values, lists of anomalies, and the recordings that they are taken from."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self, cast

import numpy as np
import torch

from modeling_retainmix.detection.calibration import HeldOut, deciding_domains
from modeling_retainmix.detection.conformal import SMALLEST_P, Anomaly, discoveries, normal_p_values
from modeling_retainmix.detection.duplicates import describe_copies
from modeling_retainmix.detection.groups import recording_groups
from modeling_retainmix.detection.inputs import check_normal, clip_sources
from modeling_retainmix.detection.judgement import Judgement, ThresholdBasis
from modeling_retainmix.detection.scoring_detector import ScoringDetector
from modeling_retainmix.detection.threshold import ThresholdMethod, describe_need, needed_units
from modeling_retainmix.user_warnings import warn

DecisionMethod = ThresholdMethod | Literal["cross"]
PValueMethod = Literal["quantile", "cross"]

OnError = Callable[[Exception], None]


class DecidingDetector(ScoringDetector):
    """Decide which clips are anomalous; `AnomalyDetector` also explains."""

    def threshold(
        self,
        false_alarm_rate: float = 0.1,
        method: ThresholdMethod = "quantile",
        num_windows: int = 1,
        domain: str | None = None,
    ) -> float:
        """Return the score above which a clip is called anomalous, from normal recordings alone.

        Every reference recording is scored against the others (leave one recording out, with its copies and its
        group). Recordings given to `calibrate` come in their place, or beside them where they are too few.

        Args:
            false_alarm_rate: share of normal clips that may be called anomalous. A rate needs 1 / rate - 1 groups,
                or recordings without any.
            method: "quantile" or "gamma", see `score_threshold`.
            num_windows: of the clip (`settings.windows.count`): with `reduce="max"` a longer one has a higher score,
                and needs a higher threshold. Runs of so many windows are taken from references that are as long; of
                shorter references the threshold is extrapolated, see `calibration_scores` and `score_threshold`.
            domain: "source" or "target", for clips nearest to its references: from normal recordings of which that is
                true; None: one threshold for all.

        Warns:
            UserWarning: the groups or recordings are too few for the rate; it says what rate they bear.

        Raises:
            ValueError: no references, a single recording or group, a domain without recordings, or
                `normalization="test"`, whose scores have no fixed scale.
        """
        return self._fitted().threshold(false_alarm_rate, method, num_windows, domain)

    def decide(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        false_alarm_rate: float = 0.1,
        method: DecisionMethod = "quantile",
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        per_domain: bool = False,
        on_error: OnError | None = None,
    ) -> np.ndarray:
        """Decide which clips are anomalous, each by the threshold of its number of windows: [clips] bool.

        Args:
            audio, sampling_rate, channel, far, far_channel: as in `score`.
            false_alarm_rate: share of normal clips that may be called anomalous.
            method: as in `threshold`; or "cross", which compares a clip with each group of references by the same
                other groups (`CrossScores`): best where groups are few, slower by their number.
            per_domain: take the threshold of the domain that the clip is nearest to.
            on_error: called with the error of each clip that cannot be read, for which the decision is False; None:
                the first such error is raised.

        Warns, raises:
            As `score` and `threshold`; ValueError: "cross" with `per_domain` or after `calibrate`.
        """
        if method == "cross":
            self._check_cross(per_domain)
            num_units = len(self._fitted().cross_scores.units)
            if num_units < needed_units(false_alarm_rate):
                warn(describe_need(false_alarm_rate, num_units, self._fitted().unit_name))
            p_values = self.p_values(audio, sampling_rate, channel, far, far_channel, "cross", on_error=on_error)
            return np.nan_to_num(p_values, nan=1.0) <= max(false_alarm_rate, 1 / (num_units + 1)) + 1e-9
        # First: references may be too few.
        thresholds: dict[tuple[int, str | None], float] = {(1, None): self.threshold(false_alarm_rate, method)}
        clips = self._clip_scores(audio, sampling_rate, channel, far, far_channel, on_error)
        kinds = list(zip(clips.num_windows.tolist(), clips.domains(per_domain), strict=True))
        with warnings.catch_warnings():
            if not per_domain:
                warnings.simplefilter("ignore", UserWarning)  # the first threshold has said it
            for count, domain in sorted({*kinds} - {*thresholds}, key=str):
                if count:
                    thresholds[count, domain] = self.threshold(false_alarm_rate, method, count, domain)
        return clips.scores > np.asarray([thresholds.get(kind, np.nan) for kind in kinds])

    def p_values(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        method: PValueMethod = "quantile",
        per_domain: bool = False,
        on_error: OnError | None = None,
    ) -> np.ndarray:
        """Return how likely a normal clip would score as high: [clips] float64, small for anomalous ones.

        With n groups (or recordings without any) none is below 1 / (n + 1). A clip of more windows than the normal
        recordings is corrected for its length, see `conformal_p_values`.

        Args:
            audio, sampling_rate, channel, far, far_channel, on_error: as in `score`; NaN for clips with an error.
            method: "quantile" or "cross", as in `decide`.
            per_domain: as in `decide`.

        Raises:
            ValueError: as `decide`.
        """
        return self._scores_and_p_values(
            audio, sampling_rate, channel, far, far_channel, method, per_domain, on_error
        ).p_values

    def judge(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        false_alarm_rate: float = 0.1,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        on_error: OnError | None = None,
    ) -> list[Judgement]:
        """Return score, p-value, threshold and verdict of each clip, which is read once.

        They are those of `score`, `p_values`, `threshold` and `decide`, but that there is no verdict where the
        references are too few for the rate (`threshold_basis` says how many are missing).

        Args:
            audio, sampling_rate, channel, far, far_channel, on_error: as in `score`.
            false_alarm_rate: share of normal clips that may be called anomalous.

        Warns, raises:
            As `score`; ValueError: a rate that is not between 0 and 1, or `normalization="test"`.
        """
        basis = self.threshold_basis(false_alarm_rate)
        options = (audio, sampling_rate, channel, far, far_channel)
        if basis.normal is None:
            clips = self._clip_scores(*options, on_error)
        else:
            clips = self._scores_and_p_values(*options, "quantile", False, on_error)
        thresholds = dict.fromkeys(clips.num_windows.tolist(), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of too few references: then there is no verdict
            for count in thresholds:
                if count and basis.normal is not None:
                    thresholds[count] = self.threshold(false_alarm_rate, num_windows=count)
        return [
            Judgement(
                name,
                score,
                p_value,
                thresholds[count],
                None if basis.num_missing or not count else score > thresholds[count],
                count,
                start,
            )
            for name, score, p_value, count, start in zip(
                clips.names,
                clips.scores.tolist(),
                clips.p_values.tolist(),
                clips.num_windows.tolist(),
                clips.start_seconds.tolist(),
                strict=True,
            )
        ]

    def threshold_basis(self, false_alarm_rate: float = 0.1) -> ThresholdBasis:
        """Return the scores of normal recordings that thresholds come from, and whether they suffice for a rate.

        Raises:
            ValueError: no references, a rate that is not between 0 and 1, or `normalization="test"`.
        """
        if not 0 < false_alarm_rate < 1:
            raise ValueError(f"false_alarm_rate={false_alarm_rate} is not a valid rate: use a value between 0 and 1")
        memory = self._fitted()
        is_alone = memory.notes.held_out is None and len(np.unique(memory.units)) == 1
        normal = None if is_alone else memory.normal_scores(false_alarm_rate)
        num_units = 1 if normal is None else normal.num_units
        return ThresholdBasis(false_alarm_rate, memory.unit_name, num_units, normal, self.settings.reduce)

    def find_anomalies(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        false_discovery_rate: float = 0.1,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        method: PValueMethod = "quantile",
        on_error: OnError | None = None,
    ) -> list[Anomaly]:
        """List the clips of a collection that are anomalous, of which a share is expected to be normal.

        Args:
            audio, sampling_rate, channel, far, far_channel, method, on_error: as in `p_values`.
            false_discovery_rate: that share of the list, by the rule of Benjamini and Hochberg. Of m clips, k are
                listed only if their p-values reach down to k / m of this rate: many groups are needed to find few.

        Returns:
            The anomalies, most anomalous first.

        Raises:
            ValueError: as `p_values`, or a rate that is not between 0 and 1.
        """
        discoveries([], np.empty(0), np.empty(0), false_discovery_rate)  # before clips are read
        options = (sampling_rate, channel, far, far_channel, method, False, on_error)
        found = self._scores_and_p_values(audio, *options)
        return discoveries(found.names, found.scores, found.p_values, false_discovery_rate)

    def calibrate(
        self,
        audio: Any,
        sampling_rate: int | None = None,
        channel: int | str | None = None,
        far: Any = None,
        far_channel: int | str | None = None,
        groups: Any = None,
    ) -> Self:
        """Take thresholds and p-values from healthy recordings that are no references; forget earlier ones.

        Where they are of too few groups for a rate, the references' scores join them, which may raise a threshold and
        never lowers it below the largest score of a held-out recording. They are saved with the detector, and scored
        anew when references are added.

        Args:
            audio, sampling_rate, channel, far, far_channel: as in `fit`; None: undo, and take thresholds from the
                references again.
            groups: the session of each, as in `fit`.

        Warns:
            UserWarning: a recording is given more than once.

        Raises:
            FileNotFoundError, ValueError: as `fit`, or a recording that is a reference or of a group of one.
        """
        memory = self._fitted()
        if audio is None:
            self._remember(memory.names, memory.tensors, replace(memory.notes, held_out=None))
            return self
        sources = clip_sources(self.settings.microphones, audio, sampling_rate, channel, far, far_channel)
        names = [source.name for source in sources]
        check_normal(names)
        found_groups = recording_groups(names, groups)
        embedded = self._embed_tests(sources, lambda vectors: vectors)
        held_out = HeldOut(
            names,
            found_groups,
            embedded.vectors,
            torch.from_numpy(embedded.clip_index),
            torch.from_numpy(embedded.fingerprints),
        )
        self._remember(memory.names, memory.tensors, replace(memory.notes, held_out=held_out))
        if copies := describe_copies(held_out.first_copy, names, place="held-out recordings"):
            warn(copies)
        return self

    def _check_cross(self, per_domain: bool) -> None:
        if per_domain or self._fitted().notes.held_out is not None:
            raise ValueError(
                "method='cross' compares clips with the references of all domains: use 'quantile' with per_domain or "
                "after calibrate"
            )

    def _scores_and_p_values(
        self,
        audio: Any,
        sampling_rate: int | None,
        channel: int | str | None,
        far: Any,
        far_channel: int | str | None,
        method: PValueMethod,
        per_domain: bool,
        on_error: OnError | None,
    ) -> "_ClipScores":
        if method not in ("quantile", "cross"):
            raise ValueError(f"method={method!r} is not a valid method of p-values: use 'quantile' or 'cross'")
        memory, is_cross = self._fitted(), method == "cross"
        if is_cross:
            self._check_cross(per_domain)
        memory.normal_scores(SMALLEST_P)  # before clips are read: the references may be too few
        clips = self._clip_scores(audio, sampling_rate, channel, far, far_channel, on_error, is_cross)
        if is_cross:
            common = (memory.cross_normal_scores, clips.num_windows, self.settings)
            return clips._replace(p_values=memory.cross_scores.p_values(cast(np.ndarray, clips.cross), *common))
        kinds = np.asarray([f"{n} {d}" for n, d in zip(clips.num_windows, clips.domains(per_domain), strict=True)])
        for kind in np.unique(kinds[clips.num_windows > 0]):
            rows = kinds == kind
            first = int(rows.argmax())
            normal = memory.normal_scores(SMALLEST_P, clips.domains(per_domain)[first])
            length = int(clips.num_windows[first]), self.settings.reduce, SMALLEST_P
            clips.p_values[rows] = normal_p_values(clips.scores[rows], normal, *length)
        return clips

    def _clip_scores(
        self,
        audio: Any,
        sampling_rate: int | None,
        channel: int | str | None,
        far: Any,
        far_channel: int | str | None,
        on_error: OnError | None,
        is_cross: bool = False,
    ) -> "_ClipScores":
        """Score clips with all that decisions need."""
        sources = clip_sources(self.settings.microphones, audio, sampling_rate, channel, far, far_channel)
        memory, reduce = self._fitted(), self.settings.windows.reduce_scores
        num_domains = len(memory.scores.domains)

        def transform(vectors: torch.Tensor) -> torch.Tensor:
            distances = memory.scores.distances(vectors).double()
            return torch.cat([distances, memory.cross_scores.scores(vectors)], dim=1) if is_cross else distances

        embedded = self._embed_tests(sources, transform, on_error)
        index, count = embedded.clip_index, len(sources)
        num_windows = np.bincount(index, minlength=count)
        read = num_windows > 0
        scores, domain = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
        starts = np.full(count, np.nan)
        cross = np.full((count, len(memory.cross_scores.units)), np.nan) if is_cross else None
        if len(index):
            distances = memory.scores.normalized(embedded.vectors[:, :num_domains].float())
            window_scores = memory.scores.from_distances(embedded.vectors[:, :num_domains].float())
            scores[read] = reduce(window_scores, index)
            domain[index] = deciding_domains(distances.double().numpy(), index, self.settings.reduce)
            order = np.argsort(window_scores, kind="stable")
            starts[index[order]] = embedded.start_seconds[order]  # the highest one is written last
        if cross is not None and len(index):
            columns = embedded.vectors[:, num_domains:].double().numpy().T
            cross[read] = np.stack([reduce(column, index) for column in columns], axis=1)
        names, domains = [source.name for source in sources], [memory.scores.domains[one] for one in domain]
        return _ClipScores(names, scores, num_windows, domains, cross, np.full(count, np.nan), starts)


class _ClipScores(NamedTuple):
    """Clips of a call, [clips] each: name, score, windows, deciding domain, with "cross" [clips, units], p-value, and
    start of the window with the highest score in seconds.
    """

    names: list[str]
    scores: np.ndarray
    num_windows: np.ndarray
    deciding: list[str]
    cross: np.ndarray | None
    p_values: np.ndarray
    start_seconds: np.ndarray

    def domains(self, per_domain: bool) -> list[str | None]:
        """The domain whose normal scores each clip is compared with; None: those of all."""
        return [domain if per_domain else None for domain in self.deciding]
