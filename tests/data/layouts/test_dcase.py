"""Machine types are found at any depth and read by the rule of their year."""

import pytest

from modeling_retainmix.data.layouts.dcase import read_dcase_layouts


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")


def test_machine_types_of_development_and_evaluation_sets_are_read_together(tmp_path):
    write(tmp_path / "dev_data/raw/fan/train/section_00_source_train_normal_0000.wav")
    write(tmp_path / "dev_data/raw/fan/attributes_00.csv")
    write(tmp_path / "eval_data/raw/fan/test/section_03_0000.wav")
    write(tmp_path / "eval_data/raw/fan/test_rename/section_03_source_test_normal_0000.wav")
    write(tmp_path / ".cache/valve/test/section_03_0000.wav")
    rows = read_dcase_layouts(tmp_path)
    assert [(row["machine_type"], row["section"], row["split"]) for row in rows] == [
        ("fan", "00", "train"),
        ("fan", "03", "test"),
    ]


def test_when_the_root_is_one_machine_type_then_its_folder_names_it(tmp_path):
    write(tmp_path / "ToyCar/train/normal_id_01_00000000.wav")
    assert [row["machine_type"] for row in read_dcase_layouts(tmp_path / "ToyCar")] == ["ToyCar"]


def test_when_a_machine_type_is_a_link_then_the_link_names_it(tmp_path, monkeypatch):
    write(tmp_path / "disk/fan_v2/test/section_00_0000.wav")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/fan").symlink_to(tmp_path / "disk/fan_v2")
    assert [row["machine_type"] for row in read_dcase_layouts(tmp_path / "data")] == ["fan"]
    monkeypatch.chdir(tmp_path / "disk/fan_v2")
    assert [row["machine_type"] for row in read_dcase_layouts(".")] == ["fan_v2"]


def test_when_two_years_lie_below_the_root_then_error_names_both_files(tmp_path):
    for year in ("2022", "2023"):
        write(tmp_path / year / "fan/train/section_00_source_train_normal_0000.wav")
    with pytest.raises(ValueError, match=r"2023/fan/train/.* has the name of .*2022/fan/train/.*one year at a time"):
        read_dcase_layouts(tmp_path)


def test_when_there_is_no_machine_type_then_error_says_what_one_is(tmp_path):
    write(tmp_path / "sounds/a.wav")
    with pytest.raises(ValueError, match=r"holds neither a metadata\.csv nor a machine type, which is a folder with"):
        read_dcase_layouts(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "train/section_00_source_train_normal_0001_vel_8.m4a",
        "test/section_00_source_test_anomaly_0000.wav.part",
        "supplemental/normal_id_00_00000001",
    ],
)
def test_when_a_recording_is_of_a_format_that_is_not_read_then_error_names_it(tmp_path, name):
    write(tmp_path / "fan/train/section_00_source_train_normal_0000.wav")
    write(tmp_path / "fan/train/notes.txt")
    assert len(read_dcase_layouts(tmp_path)) == 1
    write(tmp_path / "fan" / name)
    with pytest.raises(ValueError, match=f"fan/{name} is named as a recording but is not a sound file"):
        read_dcase_layouts(tmp_path)
