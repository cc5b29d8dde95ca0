"""FLAC files in the DCASE layout: the readers of the public layouts read them, and no sample changes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile

from modeling_retainmix.data.clips import read_clips
from modeling_retainmix.data.factory import build_factory, export_dcase
from modeling_retainmix.data.layouts.noise import read_noise_folder
from modeling_retainmix.data.recordings import read_recordings


@pytest.fixture(scope="module")
def exported(tiny_factory, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_dcase(tiny_factory, folder)
    return folder


@pytest.mark.parametrize("split", ["validation", "evaluation"])
def test_the_dcase_reader_finds_every_clip_with_its_columns(exported, tiny_factory, split):
    columns = ["machine_type", "section", "domain", "split", "label", "attributes"]
    read, written = read_recordings(exported / f"{split}_machines"), tiny_factory[f"{split}_machines"]

    def rows(table, sessions):
        attributes = [a + s for a, s in zip(table["attributes"], sessions, strict=True)]
        return sorted(zip(*(table[name] for name in columns[:-1]), attributes, strict=True))

    sessions = [f"_session_{name[-2:]}" for name in written["session"]]
    assert rows(read, [""] * len(read)) == rows(written, sessions)


def test_attributes_of_training_clips_are_the_instances_alone(exported, tiny_factory):
    read = read_recordings(exported / "train_machines")
    assert sorted(read["attributes"]) == sorted(tiny_factory["train_machines"]["attributes"])


def test_clips_of_a_version_without_sessions_keep_their_names(tiny_config, tmp_path):
    config = dataclasses.replace(tiny_config, version=3, tests_per_cell=1, segments_per_kind=1)
    export_dcase(build_factory(tmp_path / "cache", config, splits=["validation"]), tmp_path / "files")
    names = [path.stem for path in (tmp_path / "files").rglob("section_*.flac")]
    assert len(names) == 6 * 7
    assert not any("session" in name for name in names)


def test_the_noise_reader_finds_every_segment_with_its_class(exported, tiny_factory):
    for split in ("train", "validation", "evaluation"):
        read, written = read_noise_folder(exported / f"{split}_noise"), tiny_factory[f"{split}_noise"]
        for column in ("noise_class", "kind"):
            assert sorted(read[column]) == sorted(written[column])


def test_samples_are_unchanged(exported, tiny_factory):
    table = tiny_factory["evaluation_machines"]
    row = table.remove_columns("audio")[0]
    stem = "section_00_source_train_normal_0000_" + row["attributes"] + "_session_00"
    audio, rate = soundfile.read(
        exported / "evaluation_machines" / row["machine_type"] / "train" / f"{stem}.flac", dtype="int16"
    )
    assert rate == 16000
    np.testing.assert_array_equal(audio, read_clips(table, [0])[0][0])


def test_when_the_folder_is_not_empty_then_the_error_names_it(exported, tiny_factory):
    with pytest.raises(ValueError, match=f"{exported} is not empty"):
        export_dcase(tiny_factory, exported)
