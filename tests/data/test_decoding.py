"""Decoding into int16 is exact, cached, and lists every broken file."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from datasets import Audio, Dataset

from modeling_retainmix.audio import read_audio
from modeling_retainmix.data import decoding as decode
from modeling_retainmix.data.clips import read_clips, read_scales, to_waveform
from modeling_retainmix.data.decoding import decode_table


@pytest.fixture
def table(tmp_path):
    generator = np.random.default_rng(0)
    rows = []
    for index, samples in enumerate((4000, 9000, 6000)):
        path = tmp_path / f"clip_{index}.wav"
        sf.write(path, generator.integers(-32768, 32767, samples, dtype=np.int16), 16000)
        rows.append({"path": str(path), "label": f"label {index}"})
    return Dataset.from_list(rows)


def test_decoded_samples_are_those_of_the_files(table, tmp_path):
    decoded = decode_table(table, tmp_path / "cache")
    assert decoded.features["audio"].feature.dtype == "int16"
    assert decoded["label"][:] == table["label"][:]
    for path, audio in zip(table["path"], decoded["audio"], strict=True):
        np.testing.assert_array_equal(audio, sf.read(path, dtype="int16")[0])


def test_when_clip_seconds_is_given_then_longer_clips_are_cut(table, tmp_path):
    decoded = decode_table(table, tmp_path / "cache", clip_seconds=0.375)
    assert [len(audio) for audio in decoded["audio"]] == [4000, 6000, 6000]


def test_when_decoded_before_then_files_are_not_read_again(table, tmp_path, monkeypatch):
    first = decode_table(table, tmp_path / "cache")
    monkeypatch.setattr(decode, "write_int16", None)  # a call would fail
    assert decode_table(table, tmp_path / "cache")["audio"][:] == first["audio"][:]


def test_when_a_file_changes_then_it_is_decoded_again(table, tmp_path):
    decode_table(table, tmp_path / "cache")
    sf.write(table["path"][0], np.arange(5000, dtype=np.int16), 16000)
    assert decode_table(table, tmp_path / "cache")["audio"][0] == list(range(5000))


def test_when_several_files_are_broken_then_one_error_lists_all_and_no_cache_is_left(table, tmp_path):
    sf.write(table["path"][0], np.zeros(4000, np.int16), 16000)
    with open(table["path"][2], "wb") as file:
        file.write(b"no sound")
    with pytest.raises(
        ValueError, match=r"2 clips cannot be used: .*clip_0\.wav is silent.*clip_2\.wav cannot be dec"
    ):
        decode_table(table, tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []


def test_when_the_part_that_is_kept_is_silent_then_error_says_so(table, tmp_path):
    sf.write(table["path"][1], np.r_[np.zeros(5000, np.int16), np.arange(4000, dtype=np.int16)], 16000)
    with pytest.raises(ValueError, match=r"clip_1\.wav is silent \(its first 4000 samples are 0"):
        decode_table(table, tmp_path / "cache", clip_seconds=0.25)


def test_when_more_files_are_broken_than_an_error_shows_then_it_counts_the_others(table, tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "SHOWN_CLIPS", 2)
    for path in table["path"]:
        sf.write(path, np.zeros(4000, np.int16), 16000)
    with pytest.raises(ValueError, match=r"3 clips cannot be used: .*clip_0\.wav.*clip_1\.wav.*; and 1 more$"):
        decode_table(table, tmp_path / "cache")


def test_when_sound_lies_in_the_table_then_it_is_decoded_once(table, tmp_path, monkeypatch):
    sounds = table.rename_column("path", "audio").cast_column("audio", Audio(decode=False))
    decoded = decode_table(sounds.select([2, 0]), tmp_path / "cache")
    assert decoded["label"][:] == ["label 2", "label 0"]
    assert decoded["audio"][0] == sf.read(table["path"][2], dtype="int16")[0].tolist()
    monkeypatch.setattr(decode, "write_int16", None)
    assert decode_table(sounds.select([2, 0]), tmp_path / "cache")["audio"][:] == decoded["audio"][:]


def test_when_a_file_is_missing_then_error_names_it(table, tmp_path):
    os.unlink(table["path"][1])
    with pytest.raises(FileNotFoundError, match=r"clip_1\.wav does not exist"):
        decode_table(table, tmp_path / "cache")


def test_when_files_are_stereo_then_the_channel_is_part_of_the_cache(tmp_path):
    stereo = np.stack([np.arange(4000), -np.arange(4000)], axis=1).astype(np.int16)
    sf.write(tmp_path / "stereo.wav", stereo, 16000)
    table = Dataset.from_list([{"path": str(tmp_path / "stereo.wav")}])
    for channel in (0, 1):
        decoded = decode_table(table, tmp_path / "cache", channel=channel)
        assert decoded["audio"][0] == stereo[:, channel].tolist()


@pytest.mark.parametrize(
    ("subtype", "level"), [("FLOAT", 45.0), ("PCM_24", 1e-5), ("PCM_16", 0.5), ("DOUBLE", 1e-9), ("FLOAT", 1.0)]
)
def test_tables_and_detector_hear_the_same_sound(tmp_path, subtype, level):
    waveform = level * np.sin(0.1 * np.arange(4000))
    sf.write(tmp_path / "a.wav", waveform, 16000, subtype=subtype)
    heard = read_audio(tmp_path / "a.wav").astype(np.float64)
    table = decode_table(Dataset.from_list([{"path": str(tmp_path / "a.wav")}]), tmp_path / "cache")
    stored = to_waveform(read_clips(table, [0])[0], read_scales(table, [0]))[0].double().numpy()
    assert np.square(stored - heard).sum() < 1e-8 * np.square(heard).sum()


def test_when_a_decoding_was_killed_then_the_next_removes_what_it_left(table, tmp_path):
    code = """
import os, sys
from datasets import Dataset
from modeling_retainmix.data import decoding
decoding.write_int16 = lambda table, sources, file, read: (file.write_bytes(b"part"), os._exit(9))
decoding.decode_table(Dataset.from_dict({"path": [sys.argv[1]]}), sys.argv[2])
"""
    killed = subprocess.run([sys.executable, "-c", code, table["path"][0], str(tmp_path / "cache")])
    assert killed.returncode == 9 and len(os.listdir(tmp_path / "cache")) == 1
    decode_table(table, tmp_path / "cache")
    (left,) = os.listdir(tmp_path / "cache")
    assert left.startswith("decoded-")


def test_when_a_table_was_decoded_without_scales_then_it_is_still_read(table, tmp_path):
    decoded = decode_table(table, tmp_path / "cache").remove_columns("scale")
    assert read_scales(decoded, [2, 0]).tolist() == [1.0, 1.0]
