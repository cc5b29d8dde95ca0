"""Clips are written in the order of their rows, refused ones are told, and fingerprints see every change."""

import numpy as np
import pytest
import soundfile as sf
from datasets import Dataset

from modeling_retainmix.data import int16_table
from modeling_retainmix.data.clips import to_int16
from modeling_retainmix.data.int16_table import fingerprint, sound_sources, write_int16


@pytest.fixture
def table(tmp_path):
    for index in range(5):
        sf.write(tmp_path / f"{index}.wav", np.arange(10 + index, dtype=np.int16), 16000)
    names = [f"{index}" for index in range(5)]
    return Dataset.from_dict({"path": [str(tmp_path / f"{name}.wav") for name in names], "name": names})


def read(source):
    clip = to_int16(source.load())
    return "is the second" if len(clip.samples) == 11 else clip


@pytest.mark.parametrize("batch", [2, 64])
def test_when_clips_are_refused_then_the_others_keep_their_columns_and_order(table, tmp_path, monkeypatch, batch):
    monkeypatch.setattr(int16_table, "_BATCH", batch)
    rows = []

    def accept(row, clip):
        rows.append((row, len(clip.samples)))
        return "is too long" if len(clip.samples) == 13 else None

    refused = write_int16(table, sound_sources(table, None, 16000), tmp_path / "out.arrow", read, accept)
    assert refused == {1: "is the second", 3: "is too long"}
    assert rows == [(0, 10), (2, 12), (3, 13), (4, 14)]
    written = Dataset.from_file(str(tmp_path / "out.arrow"))
    assert written["name"][:] == ["0", "2", "4"]
    assert written["audio"][:] == [list(range(length)) for length in (10, 12, 14)]


def test_when_clips_are_long_then_a_record_batch_holds_fewer(table, tmp_path, monkeypatch):
    monkeypatch.setattr(int16_table, "_BATCH_SAMPLES", 25)
    assert write_int16(table, sound_sources(table, None, 16000), tmp_path / "out.arrow", read) == {1: "is the second"}
    written = Dataset.from_file(str(tmp_path / "out.arrow"))
    assert [len(chunk) for chunk in written.data.column("audio").chunks] == [3, 1]
    assert written["audio"][:] == [list(range(length)) for length in (10, 12, 13, 14)]


def test_when_a_clip_exceeds_full_scale_then_its_scale_is_written(table, tmp_path):
    waveform = 45 * np.sin(np.arange(12, dtype=np.float32))
    sf.write(table["path"][2], waveform, 16000, subtype="FLOAT")
    write_int16(table, sound_sources(table, None, 16000), tmp_path / "out.arrow", read)
    written = Dataset.from_file(str(tmp_path / "out.arrow"))
    assert written["scale"][:] == [1.0, 64.0, 1.0, 1.0]
    heard = np.array(written["audio"][1]) * 64.0 / 32768
    np.testing.assert_allclose(heard, waveform, atol=64 / 65536)


def test_when_rows_settings_or_files_differ_then_fingerprints_do(table):
    first = fingerprint(table, "channel 0")
    assert fingerprint(table.select(range(5)), "channel 0") == first
    others = [fingerprint(table, "channel 1"), fingerprint(table.select(range(4)), "channel 0")]
    sf.write(table["path"][0], np.arange(11, dtype=np.int16), 16000)
    others.append(fingerprint(table, "channel 0"))
    assert len({first, *others}) == 4
