"""Clips are written in the order of their rows, refused ones are told, and fingerprints see every change."""

import numpy as np
import pytest
import soundfile as sf
from datasets import Dataset

from modeling_retainmix.data import int16_table
from modeling_retainmix.data.int16_table import fingerprint, sound_sources, to_int16, write_int16


@pytest.fixture
def table(tmp_path):
    for index in range(5):
        sf.write(tmp_path / f"{index}.wav", np.arange(10 + index, dtype=np.int16), 16000)
    names = [f"{index}" for index in range(5)]
    return Dataset.from_dict({"path": [str(tmp_path / f"{name}.wav") for name in names], "name": names})


def read(source):
    clip = to_int16(source.load())
    return "is the second" if len(clip) == 11 else clip


@pytest.mark.parametrize("batch", [2, 64])
def test_when_clips_are_refused_then_the_others_keep_their_columns_and_order(table, tmp_path, monkeypatch, batch):
    monkeypatch.setattr(int16_table, "_BATCH", batch)
    rows = []

    def accept(row, clip):
        rows.append((row, len(clip)))
        return "is too long" if len(clip) == 13 else None

    refused = write_int16(table, sound_sources(table, None, 16000), tmp_path / "out.arrow", read, accept)
    assert refused == {1: "is the second", 3: "is too long"}
    assert rows == [(0, 10), (2, 12), (3, 13), (4, 14)]
    written = Dataset.from_file(str(tmp_path / "out.arrow"))
    assert written["name"][:] == ["0", "2", "4"]
    assert written["audio"][:] == [list(range(length)) for length in (10, 12, 14)]


def test_samples_are_rounded_and_clipped_to_16_bit():
    waveform = np.array([-1.5, -1.0, -0.6 / 32768, 0.4 / 32768, 0.6 / 32768, 1.0], dtype=np.float32)
    assert to_int16(waveform).tolist() == [-32768, -32768, -1, 0, 1, 32767]


def test_when_rows_settings_or_files_differ_then_fingerprints_do(table):
    first = fingerprint(table, "channel 0")
    assert fingerprint(table.select(range(5)), "channel 0") == first
    others = [fingerprint(table, "channel 1"), fingerprint(table.select(range(4)), "channel 0")]
    sf.write(table["path"][0], np.arange(11, dtype=np.int16), 16000)
    others.append(fingerprint(table, "channel 0"))
    assert len({first, *others}) == 4
