"""References that are far from all others are named when a detector is fitted, others are not."""

import re
import warnings

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.calibration import NormalScores
from modeling_retainmix.detection.odd_references import describe_odd_references
from modeling_retainmix.detection.recording_traits import Traits
from modeling_retainmix.detection.windows import Windows

RATE = 16000
USUAL = Traits(16000, 1, 10, 8000, 0, -20, 0, 5, 0)
HEALTHY = [2.0, 3.0, 2.5, 4.0, 3.0, 3.5, 2.0, 3.0, 2.5]


def normal_scores(values, recording=None, unit=None, part=None):
    recording = np.arange(len(values)) if recording is None else np.asarray(recording)
    zeros = np.zeros(len(values), dtype=np.int64)
    unit = recording if unit is None else np.asarray(unit)
    return NormalScores(np.asarray(values), recording, unit, zeros if part is None else np.asarray(part), zeros)


def describe(scores, since=0, **change):
    names = [f"{index}.wav" for index in range(scores.recording.max() + 1)]
    traits = np.asarray([USUAL] * (len(names) - 1) + [USUAL._replace(**change)], dtype=np.float64)
    return describe_odd_references(scores, names, traits, Windows(), since=since)


def test_one_far_above_the_median_is_named_with_its_score_and_how_it_was_made():
    text = describe(normal_scores([*HEALTHY, 40.0]), sampling_rate=8000)
    named = "9.wav scores 40, the median is 3 (sampling rate 8000 Hz, references 16000 Hz)"
    assert text.startswith(f"1 reference is unlike all others: {named}. Thresholds rise")


def test_what_the_references_hold_among_themselves_is_not_named():
    assert describe(normal_scores([*HEALTHY, 6 * 3.0])) is None
    assert describe(normal_scores([2.0, 3.0, 2.5, 2.0, 3.0, 2.5, 90.0])) is None  # too few to tell
    sessions = normal_scores([*HEALTHY, 40.0], unit=[0, 0, 0, 1, 1, 1, 2, 2, 2, 3])
    assert describe(sessions) is None


def test_references_of_changed_conditions_are_compared_with_each_other():
    few = normal_scores([*HEALTHY, 40.0], part=[0] * 9 + [1])
    assert describe(few) is None
    values = [*HEALTHY, *(20.0 * value for value in HEALTHY), 400.0]
    text = describe(normal_scores(values, part=[0] * 9 + [1] * 10))
    assert text.startswith("1 reference is unlike all others: 18.wav scores 400, the median is 60. ")


def test_the_highest_window_of_a_recording_counts_and_the_farthest_come_first():
    values = [1.0, 2.0, *HEALTHY, 1.0, 50.0, 60.0]
    recording = [0, 0, *range(1, 10), 10, 10, 11]
    text = describe(normal_scores(values, recording))
    assert re.search(r"^2 references are .*: 11\.wav scores 60, the median is 3; 10\.wav scores 50, the", text)
    many = describe(normal_scores([*HEALTHY, *HEALTHY, *np.arange(50.0, 57.0)]))
    assert many.startswith("7 references are") and many.count(" scores ") == 5 and "; and 2 more. Thresholds" in many


def test_when_references_are_added_then_earlier_ones_are_not_named_again():
    scores = normal_scores([40.0, *HEALTHY, 50.0])
    assert describe(scores, since=1).startswith("1 reference is unlike all others: 10.wav scores 50, ")
    assert describe(normal_scores([40.0, *HEALTHY]), since=1) is None


@pytest.mark.parametrize("backend", ["whitened", "knn"])
def test_when_a_detector_is_fitted_then_a_hiss_among_hums_is_named_once(backend):
    time = np.arange(RATE) / RATE
    generator = np.random.default_rng(0)
    hums = [np.sin(2 * np.pi * (100 + n) * time) + generator.normal(0, 0.05, RATE) for n in range(12)]
    clips = [hum.astype(np.float32) for hum in hums]
    hiss = generator.normal(0, 0.7, RATE).astype(np.float32)
    detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.fit(clips, RATE)
    with pytest.warns(UserWarning, match=r"1 reference is unlike all others: clip 12 scores \d+"):
        detector.fit([*clips, hiss], RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector.add_references([clips[0][::-1].copy()], RATE)
