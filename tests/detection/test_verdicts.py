"""Verdicts on scores as they come are those of the detector on whole calls."""

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.verdicts import NO_VERDICT, Verdicts, judge_files


@pytest.fixture(scope="module")
def detector(references):
    return AnomalyDetector.from_pretrained("log-mel", backend="whitened").fit(references, sampling_rate=16000)


def test_when_references_suffice_then_values_are_those_of_the_detector(detector, tests):
    verdicts = Verdicts(detector, false_alarm_rate=0.2)
    scores = detector.score(tests, 16000)
    found = [verdicts.of(score, 1) for score in scores]
    np.testing.assert_array_equal([one.p_value for one in found], detector.p_values(tests, 16000))
    assert [one.is_anomalous for one in found] == detector.decide(tests, 16000, false_alarm_rate=0.2).tolist()
    assert {one.threshold for one in found} == {detector.threshold(0.2)}
    assert verdicts.of(scores[0], 3).threshold == detector.threshold(0.2, num_windows=3)


def test_when_references_are_too_few_then_there_is_a_p_value_without_a_verdict(detector, references):
    verdicts = Verdicts(detector, false_alarm_rate=0.1)
    assert (verdicts.num_missing, verdicts.unit) == (1, "recordings")
    assert verdicts.of(1e6, 1) == (pytest.approx(1 / 9), None, None)
    assert Verdicts(detector, 0.01, "gamma").of(1e6, 1).is_anomalous is True
    one = AnomalyDetector.from_pretrained("log-mel", backend="whitened").fit(references[:1], sampling_rate=16000)
    assert Verdicts(one).num_missing == 8 and Verdicts(one).of(1e6, 1) == NO_VERDICT


class LateFirst:
    """A detector whose first clip is done last, and whose second one cannot be read."""

    def __init__(self, stop_after=None):
        self._stop_after = stop_after

    def score(self, audio, on_error, on_score, channel):
        for count, position in enumerate((2, 1, 0), 1):
            if position == 1:
                on_error(ValueError(f"{audio[1]} is silent"))
            on_score(Clip(position, position != 1))
            if count == self._stop_after:
                raise KeyboardInterrupt


class Clip:
    def __init__(self, position, is_read):
        self.position, self.score, self.num_windows = position, float(position), int(is_read)


class NoVerdicts:
    def of(self, score, num_windows):
        return NO_VERDICT


def test_when_clips_are_done_in_another_order_then_files_come_in_theirs():
    rows = []
    judge_files(LateFirst(), ["a", "b", "c"], NoVerdicts(), rows.append, channel=0)
    assert [(row.file, row.score, row.error) for row in rows] == [
        ("a", 0.0, None),
        ("b", None, "b is silent"),
        ("c", 2.0, None),
    ]


def test_when_it_is_stopped_then_files_that_wait_come_too():
    rows = []
    with pytest.raises(KeyboardInterrupt):
        judge_files(LateFirst(stop_after=2), ["a", "b", "c"], NoVerdicts(), rows.append, channel=0)
    assert [row.file for row in rows] == ["b", "c"]
