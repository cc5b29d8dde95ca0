"""Warnings name the line that called the package, however deep the call went."""

import inspect
import warnings

import numpy as np
import pytest

from modeling_retainmix import AnomalyDetector
from modeling_retainmix.user_warnings import warn

RATE = 16_000


def line_below():
    return inspect.currentframe().f_back.f_lineno + 1


@pytest.fixture(scope="module")
def detector():
    references = np.random.default_rng(0).normal(0, 0.1, (4, RATE))
    return AnomalyDetector.from_pretrained("log-mel", device="cpu").fit(references, RATE)


def test_when_called_from_outside_the_package_then_that_line_is_named():
    with pytest.warns(UserWarning, match="too few") as caught:
        expected = line_below()
        warn("too few")
    assert (caught[0].filename, caught[0].lineno) == (__file__, expected)


@pytest.mark.parametrize("method", ["score", "decide", "p_values", "explain"])
def test_when_a_clip_differs_from_the_references_then_the_call_is_named(detector, method):
    quiet = np.random.default_rng(1).normal(0, 0.1, (1, RATE)) * 1e-3
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        expected = line_below()
        getattr(detector, method)(quiet, RATE)
    assert caught and all((one.filename, one.lineno) == (__file__, expected) for one in caught)
    assert any("Level -80 dB" in str(one.message) for one in caught)


def test_when_references_are_too_few_for_the_rate_then_the_call_is_named(detector):
    with pytest.warns(UserWarning, match="recordings") as caught:
        expected = line_below()
        detector.threshold(0.1)
    assert (caught[0].filename, caught[0].lineno) == (__file__, expected)
