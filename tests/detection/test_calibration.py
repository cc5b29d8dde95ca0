"""Scores of normal windows: their stretches, units and deciding domains."""

from dataclasses import replace

import numpy as np
import pytest

from modeling_retainmix.detection.calibration import HELD_OUT, NormalScores, deciding_domains


def columns(values, recording, unit):
    zeros = np.zeros(len(values), dtype=np.int64)
    return NormalScores(np.asarray(values, dtype=float), np.asarray(recording), np.asarray(unit), zeros, zeros)


def test_stretches_are_of_recordings_and_weigh_by_unit():
    scores = columns([1, 5, 2, 7, 3, 4], [0, 0, 1, 1, 4, 4], [0, 0, 0, 0, 4, 4])
    values, unit, num_stretches = scores.stretches(2, "max", 0.3)
    assert (values.tolist(), unit.tolist(), num_stretches) == ([5, 7, 4], [0, 0, 4], 1)
    assert scores.num_units == 2


def test_stretches_are_so_short_that_the_units_suffice_for_the_rate():
    counts = [1, 1, 1, 1, 3, 3, 3, 3, 3]
    recording = np.repeat(np.arange(9), counts)
    scores = columns(np.arange(len(recording)), recording, recording)
    assert len(set(scores.stretches(3, "max", 0.2)[1])) == 5  # 4 are enough for 20 %
    for rate in (0.1, 0.01):
        _, units, num_stretches = scores.stretches(3, "max", rate)
        assert (len(set(units)), num_stretches) == (9, 3)
    in_sessions = columns(np.arange(len(recording)), recording, np.asarray([0, 0, 2, 3, 0, 2, 3, 7, 8])[recording])
    assert len(set(in_sessions.stretches(3, "max", 0.1)[1])) == 5  # every session has a long one


def test_held_out_scores_stand_beside_references_or_alone():
    references, held_out = columns([1, 2], [0, 1], [0, 1]), columns([3, 4], [0, 1], [0, 1])
    held_out = replace(held_out, part=held_out.part + HELD_OUT)
    assert references.held_out_beside_references() is held_out.held_out_beside_references() is None
    assert references.joined(held_out).held_out_beside_references().values.tolist() == [3, 4]


def test_joined_scores_keep_units_apart():
    first, second = columns([1, 2, 3], [0, 1, 3], [0, 0, 3]), columns([4, 5], [0, 1], [0, 1])
    joined = first.joined(second)
    assert joined.values.tolist() == [1, 2, 3, 4, 5]
    assert joined.num_units == 4
    assert (np.diff(joined.recording) > 0).all()


def test_the_deciding_domain_is_that_of_the_window_with_the_largest_score():
    distances = np.asarray([[1.0, 9], [5, 4], [2, 3], [3, 2], [9, 1], [2, 2.5]])
    clip_index = np.asarray([0, 0, 1, 2, 2, 4])
    assert deciding_domains(distances, clip_index, "max").tolist() == [1, 1, 0, 1, 1, 0]
    assert deciding_domains(distances[:2], clip_index[:2], "mean").tolist() == [0, 0]
    assert deciding_domains(np.empty((0, 2)), np.empty(0, dtype=int), "max").tolist() == []


@pytest.mark.parametrize("reduce", ["max", "mean", "first"])
def test_deciding_domains_equal_those_found_clip_by_clip(reduce):
    generator = np.random.default_rng(0)
    distances = generator.integers(0, 5, size=(60, 3)).astype(float)  # with ties
    clip_index = np.sort(generator.choice([0, 2, 3, 7, 11], size=60))
    expected = np.zeros(60, dtype=int)
    for clip in np.unique(clip_index):
        rows = np.flatnonzero(clip_index == clip)
        windows = distances[rows]
        deciding = windows.mean(axis=0) if reduce == "mean" else windows[windows.min(axis=1).argmax()]
        expected[rows] = deciding.argmin()
    assert deciding_domains(distances, clip_index, reduce).tolist() == expected.tolist()
