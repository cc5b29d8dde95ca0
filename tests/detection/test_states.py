"""A machine with operating states: each clip is scored by the references of its own."""

import warnings

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.detection.states import StateDetector

RATE = 16000


@pytest.fixture(scope="module")
def draw():
    generator = np.random.default_rng(0)

    def draw(count, low, high):
        """Noise between two frequencies in Hz, whose level differs a little from clip to clip."""
        spectra = np.fft.rfft(generator.normal(0, 0.1, (count, 6400)))
        frequencies = np.fft.rfftfreq(6400, 1 / RATE)
        spectra[:, (frequencies < low) | (frequencies > high)] *= 0.05
        return (np.fft.irfft(spectra, 6400) * np.exp(0.1 * generator.normal(size=(count, 1)))).astype(np.float32)

    return draw


@pytest.fixture
def idle(draw):
    return draw(12, 0, 1000)


@pytest.fixture
def loaded(draw):
    return draw(12, 1000, 6000)


def fitted(idle, loaded):
    machine = StateDetector.from_pretrained("log-mel", device="cpu", backend="knn")
    return machine.fit("idle", idle, RATE).fit("load", loaded, RATE)


def test_each_clip_is_scored_and_decided_by_its_own_state(draw, idle, loaded):
    machine = fitted(idle, loaded)
    tests = np.concatenate([draw(3, 0, 1000), draw(3, 1000, 6000)])[[0, 3, 1, 4, 2, 5]]
    states = ["idle", "load"] * 3
    assert machine.nearest_states(tests, RATE) == states
    expected = np.empty(6)
    for place, clips in enumerate((idle, loaded)):
        alone = AnomalyDetector.from_pretrained("log-mel", device="cpu", backend="knn").fit(clips, RATE)
        expected[place::2] = alone.score(tests[place::2], RATE)
        assert machine.detector(states[place]).threshold(0.1) == pytest.approx(alone.threshold(0.1))
    np.testing.assert_allclose(machine.score(tests, RATE), expected, rtol=1e-5)
    np.testing.assert_allclose(machine.score(tests, RATE, states), expected, rtol=1e-5)
    assert (machine.score(tests, RATE, "idle")[1::2] > 2 * expected[1::2]).all()  # the wrong state
    assert machine.decide(tests, RATE, "idle", false_alarm_rate=0.1).tolist()[1::2] == [True] * 3
    assert machine.decide(tests, RATE, false_alarm_rate=0.1).sum() <= 2


def test_a_saved_detector_has_its_states_again_and_each_loads_by_itself(draw, idle, loaded, tmp_path):
    machine = fitted(idle, loaded)
    machine.detector("load").calibrate(draw(10, 1000, 6000), RATE)
    machine.save_pretrained(tmp_path)
    again = StateDetector.from_pretrained(tmp_path, device="cpu")
    tests = np.concatenate([draw(2, 0, 1000), draw(2, 1000, 6000)])
    assert again.states == ["idle", "load"]
    np.testing.assert_allclose(again.score(tests, RATE), machine.score(tests, RATE), rtol=1e-5)
    assert again.detector("load").threshold(0.1) == pytest.approx(machine.detector("load").threshold(0.1))
    alone = AnomalyDetector.from_pretrained(tmp_path / "idle", device="cpu")
    np.testing.assert_allclose(alone.score(tests, RATE), machine.score(tests, RATE, "idle"), rtol=1e-5)
    again.fit("start-up", draw(4, 200, 3000), RATE)
    assert again.states == ["idle", "load", "start-up"]


def test_when_states_are_unknown_or_missing_then_errors_say_so(idle, loaded, tmp_path):
    empty = StateDetector.from_pretrained("log-mel", device="cpu")
    for call in (lambda: empty.score(idle, RATE), lambda: empty.save_pretrained(tmp_path)):
        with pytest.raises(ValueError, match="no state has references"):
            call()
    machine = fitted(idle, loaded)
    with pytest.raises(ValueError, match="state 'full' has no references: use one of"):
        machine.score(idle, RATE, "full")
    with pytest.raises(ValueError, match="1 states for 12 clips"):
        machine.decide(idle, RATE, ["idle"])
    with pytest.raises(ValueError, match=r"state '\.\./x' is not a valid name"):
        machine.fit("../x", idle, RATE)
    (tmp_path / "states.json").write_text('{"states": ["../x"]}')
    with pytest.raises(ValueError, match=r"states\.json does not hold a list of states"):
        StateDetector.from_pretrained(tmp_path)


def test_with_one_state_clips_are_read_once(idle):
    machine = StateDetector.from_pretrained("log-mel", device="cpu", backend="knn").fit("idle", idle, RATE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert machine.nearest_states(idle[:2], RATE) == ["idle", "idle"]
