"""The normal level has drifted when the last normal recordings lie above three quarters of the references."""

import numpy as np
import pytest
from scipy.stats import betabinom

from modeling_retainmix.watching.drift import NUM_COMPARED, measure_drift
from modeling_retainmix.watching.recording import Judgement, Recording


def recordings(scores, detector="d", quartile=10.0, threshold=20.0, **others):
    return [
        Recording(str(score), "a.wav", 0, 0, Judgement(score, 1, threshold, quartile, 0.1, detector), **others)
        for score in scores
    ]


def test_when_nothing_changes_then_the_level_holds():
    drift = measure_drift(recordings(np.linspace(0, 13, 40)))
    assert drift.is_told and not drift.has_drifted and drift.sentence.startswith("The normal level holds: ")
    assert drift.num_compared == NUM_COMPARED


@pytest.mark.parametrize(("num_above", "has_drifted"), [(15, False), (16, True), (30, True)])
def test_when_more_than_half_are_above_the_quartile_then_the_references_are_too_old(num_above, has_drifted):
    drift = measure_drift(recordings([0.0] * 50 + [12.0] * num_above + [9.0] * (30 - num_above)))
    assert (drift.num_above, drift.has_drifted) == (num_above, has_drifted)
    assert ("references are too old" in drift.sentence) == has_drifted


@pytest.mark.parametrize(("num_references", "percent"), [(11, "4.7 %"), (20, "1.8 %"), (100, "0.3 %")])
def test_how_often_an_unchanged_machine_is_taken_for_one_that_drifts_is_as_told(num_references, percent):
    # The quartile is the score of this rank, which a new recording exceeds with a Beta distributed probability.
    rank = np.ceil(0.75 * (num_references + 1))
    probability = betabinom(NUM_COMPARED, num_references + 1 - rank, rank).sf(NUM_COMPARED // 2)
    assert f"{100 * probability:.1f} %" == percent and percent in measure_drift.__doc__


def test_anomalies_unreadable_ones_and_those_of_other_detectors_do_not_count():
    broken = Recording("b", "b.wav", 0, 0, None, "is cut")
    older = recordings([12.0] * 40, detector="older")
    fine = recordings([1.0] * NUM_COMPARED)
    drift = measure_drift([*older, *fine, *recordings([99.0] * 40), broken])
    assert drift == (NUM_COMPARED, 0, True)
    confirmed = recordings([99.0] * 40, confirmed="a")
    assert measure_drift([*fine, *confirmed]).has_drifted


def test_when_there_are_few_or_no_quartile_is_known_then_it_is_too_early_to_tell():
    assert measure_drift([]) == (0, 0, False)
    assert "29 of 30" in measure_drift(recordings([12.0] * 29)).sentence
    assert not measure_drift(recordings([12.0] * 50, quartile=None)).is_told
    assert not measure_drift([*recordings([12.0] * 50), *recordings([12.0], detector="new")]).is_told
