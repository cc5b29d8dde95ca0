"""One reading of a clip gives what `score`, `p_values`, `threshold` and `decide` give."""

import warnings

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector

RATE = 16000


@pytest.fixture(scope="module")
def noises():
    """Draw clips of 0.6 s: noise, whose upper half of the band is as loud as asked for."""
    generator = np.random.default_rng(0)

    def draw(count, upper_db=0.0):
        spectra = np.fft.rfft(generator.normal(0, 0.05, (count, 9600)))
        spectra[:, 2400:] *= 10 ** (upper_db / 20)
        return np.fft.irfft(spectra, 9600).astype(np.float32)

    return draw


@pytest.fixture(scope="module")
def fit():
    def fit(clips, groups=None, **settings):
        detector = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="knn", **settings)
        return detector.fit(clips, RATE, groups=groups)

    return fit


def test_when_references_suffice_then_all_is_as_by_single_calls(fit, noises):
    detector = fit(noises(12), window_seconds=0.6, hop_seconds=0.6)
    clips = [*noises(3), *noises(3, upper_db=12), np.concatenate(noises(3))]
    found = detector.judge(clips, RATE, 0.1)
    np.testing.assert_array_equal([one.score for one in found], detector.score(clips, RATE))
    np.testing.assert_array_equal([one.p_value for one in found], detector.p_values(clips, RATE))
    np.testing.assert_array_equal([one.is_anomalous for one in found], detector.decide(clips, RATE, 0.1))
    assert [one.num_windows for one in found] == [1] * 6 + [3]
    assert [one.threshold for one in found] == [detector.threshold(0.1, num_windows=n) for n in [1] * 6 + [3]]
    assert {one.is_anomalous for one in found} == {True, False}


def test_when_a_clip_is_long_then_the_start_is_that_of_its_worst_window(fit, noises):
    detector = fit(noises(12), window_seconds=0.6, hop_seconds=0.3)
    clip = np.concatenate([noises(1)[0], noises(1, upper_db=20)[0], noises(1)[0]])
    ((starts, scores),) = detector.score_windows(clip, RATE)
    (found,) = detector.judge(clip, RATE)
    assert found.start_seconds == starts[scores.argmax()] == pytest.approx(0.6)


def test_when_references_are_too_few_then_there_is_no_verdict_and_no_warning(fit, noises):
    detector = fit(noises(6), groups=["a", "a", "b", "b", "c", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = detector.judge(noises(1, upper_db=15)[0], RATE, 0.1)
        basis = detector.threshold_basis(0.1)
    assert found.is_anomalous is None and found.p_value == pytest.approx(1 / 4)
    assert (basis.unit, basis.noun, basis.num_units, basis.num_missing) == ("groups", "session", 3, 6)
    assert detector.threshold_basis(0.25).num_missing == 0
    (found,) = detector.judge(noises(1, upper_db=15)[0], RATE, 0.25)
    assert found.is_anomalous is True


def test_when_there_is_one_reference_then_there_are_scores_alone(fit, noises):
    detector = fit(noises(1))
    clips = noises(2)
    found = detector.judge(clips, RATE)
    np.testing.assert_array_equal([one.score for one in found], detector.score(clips, RATE))
    assert all(one.is_anomalous is None and np.isnan(one.p_value) and np.isnan(one.threshold) for one in found)
    basis = detector.threshold_basis()
    assert basis.num_missing == 8 and basis.normal is None and len(basis.scores()) == 0


def test_when_a_clip_cannot_be_read_then_it_has_no_score_and_the_others_do(fit, noises):
    errors = []
    broken = np.full(9600, np.nan, dtype=np.float32)
    found = fit(noises(12)).judge([noises(1)[0], broken], RATE, on_error=errors.append)
    assert found[0].num_windows == 1 and found[0].is_anomalous is not None
    assert found[1].num_windows == 0 and found[1].is_anomalous is None and np.isnan(found[1].score)
    assert len(errors) == 1 and "clip 1" in str(errors[0])


def test_when_scores_of_normal_recordings_are_asked_for_then_they_are_those_left_out(fit, noises):
    detector = fit(noises(12))
    expected = np.sort(detector._fitted().scores.leave_one_out())
    np.testing.assert_array_equal(detector.threshold_basis().scores(), expected)


@pytest.mark.parametrize("rate", [0, 1, -0.1])
def test_when_the_rate_is_out_of_range_then_error(fit, noises, rate):
    with pytest.raises(ValueError, match=f"false_alarm_rate={rate}"):
        fit(noises(2)).judge(noises(1)[0], RATE, rate)
