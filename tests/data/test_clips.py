"""Whole batches out of an Arrow table, against reading row by row."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data.clips import read_clips, to_waveform


def make_table(clips):
    return Dataset.from_dict({"audio": clips}, features=Features({"audio": List(Value("int16"))}))


def test_when_lengths_are_equal_then_rows_come_in_the_order_asked():
    table = make_table([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    clips, lengths = read_clips(table, [2, 0, 2])
    assert clips.dtype == np.int16
    assert clips.tolist() == [[7, 8, 9], [1, 2, 3], [7, 8, 9]]
    assert lengths.tolist() == [3, 3, 3]


def test_when_lengths_differ_then_clips_are_cut_or_padded_with_zeros():
    table = make_table([[1, 2, 3, 4, 5], [6, 7], [8, 9, 10]])
    clips, lengths = read_clips(table, [0, 1, 2], num_samples=3)
    assert clips.tolist() == [[1, 2, 3], [6, 7, 0], [8, 9, 10]]
    assert lengths.tolist() == [3, 2, 3]


def test_when_starts_are_drawn_then_longer_clips_are_cut_there():
    table = make_table([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [6, 7]])
    clips, _ = read_clips(table, [0, 1, 2], 3, start_draws=np.array([0.0, 0.99, 0.99]))
    assert clips.tolist() == [[1, 2, 3], [3, 4, 5], [6, 7, 0]]


def test_when_table_was_filtered_then_rows_are_those_of_the_filtered_table():
    table = make_table([[1, 1], [2, 2], [3, 3], [4, 4]]).select([3, 1])
    clips, _ = read_clips(table, [1, 0])
    assert clips.tolist() == [[2, 2], [4, 4]]


def test_when_length_is_not_given_then_the_longest_clip_decides():
    clips, lengths = read_clips(make_table([[1], [2, 3, 4]]), [0, 1])
    assert clips.tolist() == [[1, 0, 0], [2, 3, 4]]
    assert lengths.tolist() == [1, 3]


def test_when_audio_column_is_missing_then_error_names_the_columns():
    with pytest.raises(ValueError, match="path"):
        read_clips(Dataset.from_dict({"path": ["a.wav"]}), [0])


def test_when_clips_become_waveforms_then_full_scale_is_one():
    waveform = to_waveform(np.array([[-32768, 0, 16384]], dtype=np.int16))
    assert waveform.dtype == torch.float32
    assert waveform.tolist() == [[-1.0, 0.0, 0.5]]
