"""Places of bars, boxes and ticks, in percent."""

import numpy as np
import pytest

from modeling_retainmix.detection.events import Event
from modeling_retainmix.reports import figures
from modeling_retainmix.reports.findings import Detail
from modeling_retainmix.reports.spectrogram import frequency_share

RATE = 16000


@pytest.mark.parametrize(
    "values", [[10.0, 12.0, 30.0], [1.0, 5.0, 400.0], [-2.0, 0.0, 3.0], [5.0], [0.0], [1e-9, 1.0]]
)
def test_when_scores_are_placed_then_all_lie_inside_in_their_order_and_have_ticks(values):
    axis = figures.ScoreAxis.of(np.array(values))
    places = [axis.place(value) for value in values]
    assert places == sorted(places) and places[0] > 0 and places[-1] < 100
    edges = axis.edges()
    assert edges[0] < min(values) and edges[-1] > max(values)
    assert all(0 <= tick.place <= 100 for tick in axis.ticks()) and axis.ticks()


def test_when_positive_scores_differ_widely_then_the_axis_is_logarithmic():
    axis = figures.ScoreAxis.of(np.array([1.0, 10.0, 100.0]))
    assert axis.is_logarithmic and axis.place(10.0) == 50
    assert not figures.ScoreAxis.of(np.array([-1.0, 100.0])).is_logarithmic


def test_when_scores_are_counted_then_every_one_is_in_a_bar():
    references, recordings = np.random.default_rng(0).normal(10, 2, 200), np.array([9.0, 11.0, 30.0])
    axis = figures.ScoreAxis.of(np.concatenate([references, recordings]))
    drawn = figures.histogram(axis, references, recordings, recordings > 20, 20.0)
    assert sum(bar.height for bar in drawn.references) == 200 and drawn.highest[1] == 1
    assert [bar.is_anomalous for bar in drawn.recordings] == [False, False, True]
    bar = drawn.recordings[2]
    assert bar.left <= axis.place(30.0) <= bar.left + bar.width + 0.01
    assert drawn.threshold == axis.place(20.0)
    assert figures.histogram(axis, references, recordings, recordings > 20, float("nan")).threshold is None


def test_when_references_are_many_then_so_many_quantiles_stand_for_them():
    scores = np.random.default_rng(0).exponential(1, 5000) + 1
    axis = figures.ScoreAxis.of(scores)
    places = figures.reference_places(axis, scores)
    assert len(places) <= figures.MOST_TICKS
    assert (places[0], places[-1]) == (axis.place(scores.min()), axis.place(scores.max()))
    assert figures.reference_places(axis, scores[:3]) == sorted(axis.place(score) for score in scores[:3].tolist())


def test_when_events_are_boxed_then_they_lie_where_time_and_mel_say_and_outer_ones_have_no_box():
    def event(start, end, strength):
        return Event(start, end, 500.0, 2000.0, strength, False, False)

    silence = np.zeros(10 * RATE, np.float32)
    events = (event(12, 13, 9.0), event(30, 31, 8.0), event(5, 15, -7.0), event(19.9, 26, 6.0))
    boxes = figures.event_boxes(Detail(40.0, 10.0, silence, silence, events), 10.0)
    assert [(box.number, box.left, box.width, box.is_more) for box in boxes] == [
        (1, 20, 10, True),
        (3, 0, 50, False),
        (4, 99, 1, True),
    ]
    assert boxes[0].top == pytest.approx(100 * (1 - frequency_share(2000)), abs=0.01)
    assert boxes[0].top + boxes[0].height == pytest.approx(100 * (1 - frequency_share(500)), abs=0.02)


def test_when_events_are_many_then_the_strongest_are_boxed():
    silence = np.zeros(RATE, np.float32)
    events = tuple(Event(0.1, 0.2, 100.0, 200.0, 50.0 - index, False, False) for index in range(30))
    assert len(figures.event_boxes(Detail(1.0, 0.0, silence, silence, events), 1.0)) == figures.MARKED_EVENTS


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 2.5, [0, 0.5, 1, 1.5, 2, 2.5]),
        (17.3, 27.3, [18, 20, 22, 24, 26]),
        (-0.3, 0.3, [-0.3, -0.2, -0.1, 0, 0.1, 0.2]),
        (0, 6, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_when_round_values_are_asked_for_then_they_are_few_and_round(low, high, expected):
    assert figures.round_values(low, high, 6) == pytest.approx(expected)


def test_when_a_picture_begins_later_then_its_ticks_are_times_of_the_recording():
    ticks = figures.time_ticks(17.3, 10.0)
    assert [tick.label for tick in ticks] == ["18", "20", "22", "24", "26"] and ticks[0].place == 7
