"""Windows cover the whole clip, and clips' scores come from those of their windows."""

import numpy as np
import pytest

from modeling_retainmix.detection.windows import Windows


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (60, [0]),
        (100, [0]),
        (101, [0, 1]),
        (150, [0, 50]),
        (199, [0, 50, 99]),
        (200, [0, 50, 100]),
    ],
)
def test_windows_cover_the_clip_to_its_end(samples, starts):
    waveform = np.arange(samples, dtype=np.float32)
    windows = Windows(1.0, 0.5).cut(waveform, sampling_rate=100)
    assert [start for start, _ in windows] == starts
    assert {len(window) for _, window in windows} == {min(samples, 100)}
    assert set(np.concatenate([window for _, window in windows])) == set(waveform)


def test_when_only_the_first_window_counts_then_the_rest_is_not_cut():
    assert [start for start, _ in Windows(1.0, 0.5, "first").cut(np.zeros(500), 100)] == [0]


def test_when_padding_is_asked_for_then_zeros_follow_a_short_clip():
    ((_, window),) = Windows(1.0, 0.5, pad=True).cut(np.ones(60, np.float32), 100)
    assert window.tolist() == [1.0] * 60 + [0.0] * 40


@pytest.mark.parametrize(
    ("reduce", "expected"), [("max", [4.0, 7.0, 3.0]), ("mean", [2.5, 7.0, 2.0]), ("first", [4.0, 7.0, 3.0])]
)
def test_clip_scores_come_from_their_windows(reduce, expected):
    scores, clip_index = np.asarray([1.0, 4.0, 7.0, 3.0, 2.0, 1.0]), np.asarray([0, 0, 1, 2, 2, 2])
    assert Windows(reduce=reduce).reduce_scores(scores, clip_index).tolist() == expected
