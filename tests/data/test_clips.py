"""Whole batches out of an Arrow table, against reading row by row."""

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value

from modeling_retainmix.data import clips as clips_module
from modeling_retainmix.data.clips import read_clips, read_scales, rows_at_a_time, to_int16, to_waveform, with_scale


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
    clips = np.array([[-32768, 0, 16384], [16384, 0, -1]], dtype=np.int16)
    for given in (clips, torch.from_numpy(clips)):
        waveform = to_waveform(given, np.array([1.0, 2.0**-15], dtype=np.float32))
        assert waveform.dtype == torch.float32
        assert waveform.tolist() == [[-1.0, 0.0, 0.5], [2.0**-16, 0.0, -(2.0**-30)]]


def test_when_samples_are_of_16_bit_then_they_stay_as_they_are():
    samples = np.array([-32768, -3, 0, 7, 32767], dtype=np.int16)
    clip = to_int16(samples / np.float32(32768))
    assert clip.scale == 1.0 and clip.samples.dtype == np.int16
    assert clip.samples.tolist() == samples.tolist()


@pytest.mark.parametrize("level", [45.0, 1.0, 0.3, 1e-5, 1e-30])
def test_when_samples_are_not_of_16_bit_then_their_scale_keeps_80_dB_at_any_level(level):
    waveform = (level * np.sin(0.1 * np.arange(4000))).astype(np.float32)
    clip = to_int16(waveform)
    assert np.log2(clip.scale) % 1 == 0
    heard = to_waveform(clip.samples[None], np.array([clip.scale]))[0].double().numpy()
    error = heard - waveform
    assert np.square(error).sum() < 1e-8 * np.square(waveform.astype(np.float64)).sum()
    assert np.abs(clip.samples.astype(int)).max() > 16000


def test_when_a_table_has_no_scales_then_they_are_one():
    table = make_table([[1, 2], [3, 4]])
    assert read_scales(table, [1, 0, 1]).tolist() == [1.0] * 3
    scaled = with_scale(table)
    assert read_scales(scaled, [1, 0]).tolist() == [1.0] * 2
    other = scaled.remove_columns("scale").add_column("scale", np.array([0.5, 8.0], dtype=np.float32))
    assert read_scales(with_scale(other).select([1, 0]), [0, 0, 1]).tolist() == [8.0, 8.0, 0.5]


@pytest.mark.parametrize("draws", [None, np.array([0.0, 0.99, 0.4, 0.99])])
def test_when_clips_are_long_then_the_same_parts_are_read_one_by_one(monkeypatch, draws):
    table = make_table([list(range(50)), [1, 2, 3], list(range(100, 130))]).select([2, 0, 1])
    rows = np.array([0, 1, 2, 1])
    expected = read_clips(table, rows, 10, draws)
    monkeypatch.setattr(clips_module, "_LONG_CLIP", 1)
    parts = read_clips(table, rows, 10, draws)
    for part, whole in zip(parts, expected, strict=True):
        assert part.dtype == whole.dtype
        np.testing.assert_array_equal(part, whole)


def test_when_clips_are_long_then_fewer_are_read_at_a_time(monkeypatch):
    table = make_table([[0] * 1000] * 4)
    assert rows_at_a_time(table) == 256
    monkeypatch.setattr(clips_module, "_SAMPLES_AT_A_TIME", 2500)
    assert rows_at_a_time(table) == 2
