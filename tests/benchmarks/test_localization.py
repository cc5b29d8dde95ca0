"""An event locates a burst by the share of its box, and a box that is too large does not count in the union."""

import importlib.util
from pathlib import Path

import pytest

from modeling_retainmix.detection.events import Event
from modeling_retainmix.detection.level_cells import band_edges

PATH = Path(__file__).parents[2] / "benchmarks" / "localization.py"
LOW, HIGH = band_edges(8)[5:7]


@pytest.fixture(scope="module")
def localization():
    spec = importlib.util.spec_from_file_location("localization", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def event(start, end, low=LOW, high=HIGH):
    return Event(start, end, low, high, 9.0, False, False)


@pytest.mark.parametrize(
    ("events", "held", "union"),
    [
        ([], 0, 0),
        ([event(1.0, 1.3)], 1, 1),
        ([event(1.1, 1.3)], 2 / 3, 2 / 3),
        ([event(0.7, 1.6)], 1, 1 / 3),
        ([event(1.0, 1.3, LOW, (LOW + HIGH) / 2)], 0.5, 0.5),
        ([event(1.0, 1.3, HIGH, HIGH + 500), event(2.0, 2.3)], 0, 0),
        ([event(2.0, 2.3), event(1.15, 1.45)], 0.5, 1 / 3),
    ],
)
def test_overlaps_are_those_of_the_best_event(localization, events, held, union):
    assert localization.overlaps(events, patch=5, start=1.0) == pytest.approx((held, union))
