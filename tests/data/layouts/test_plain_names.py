"""Folders alone tell machine, split and label; names of DCASE keep their rules."""

import pytest

from modeling_retainmix.data.layouts.dcase import read_dcase_layouts
from modeling_retainmix.data.layouts.plain_names import read_plain_names


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_when_files_have_any_names_then_folders_tell_split_and_label(tmp_path):
    for name in ("train/rec_001", "train/may/7", "test/normal/a", "test/anomaly/b", "test/abnormal/new/c", "test/d"):
        write(tmp_path / "plant" / "pump" / f"{name}.wav")
    rows = read_dcase_layouts(tmp_path)
    assert [(row["path"].split("pump/")[1], row["split"], row["label"]) for row in rows] == [
        ("train/may/7.wav", "train", "normal"),
        ("train/rec_001.wav", "train", "normal"),
        ("test/abnormal/new/c.wav", "test", "anomaly"),
        ("test/anomaly/b.wav", "test", "anomaly"),
        ("test/d.wav", "test", ""),
        ("test/normal/a.wav", "test", "normal"),
    ]
    assert {(row["machine_type"], row["section"], row["domain"]) for row in rows} == {("pump", "00", "source")}


@pytest.mark.parametrize("label", ["anomaly", "abnormal"])
def test_when_a_reference_is_not_normal_then_error_names_it(tmp_path, label):
    write(tmp_path / "pump" / "train" / label / "a.wav")
    with pytest.raises(ValueError, match=rf"train/{label}/a\.wav lies in .*references must be normal"):
        read_plain_names(tmp_path / "pump")


@pytest.mark.parametrize("name", ["Section_00_source_train_normal_0000", "section-1", "ID_00_1", "normal_id_x"])
def test_when_one_name_is_meant_as_one_of_dcase_then_all_must_follow_its_rules(tmp_path, name):
    write(tmp_path / "pump" / "train" / "rec_001.wav")
    assert len(read_dcase_layouts(tmp_path)) == 1
    write(tmp_path / "pump" / "test" / f"{name}.wav")
    with pytest.raises(ValueError, match="breaks the naming rule"):
        read_dcase_layouts(tmp_path)


def test_when_two_folders_of_a_machine_hold_the_same_file_then_error_names_both(tmp_path):
    for plant in ("one", "two"):
        write(tmp_path / plant / "pump" / "train" / "rec_001.wav")
    with pytest.raises(ValueError, match=r"two/pump/.*rec_001\.wav has the name of .*one/pump/"):
        read_dcase_layouts(tmp_path)
