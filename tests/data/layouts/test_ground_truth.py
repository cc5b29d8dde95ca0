"""Tests of evaluation sets get labels, domains and attributes from the official files."""

import shutil

import pytest

from modeling_retainmix.data.layouts.dcase_2020 import read_dcase_2020
from modeling_retainmix.data.layouts.dcase_sections import read_dcase_sections
from modeling_retainmix.data.layouts.ground_truth import merge_ground_truth


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def machine(tmp_path):
    for name in ("train/section_00_source_train_normal_0000_a.wav", "test/section_00_0000.wav"):
        write(tmp_path / "shaker" / name)
    write(tmp_path / "shaker/test/section_00_0001.flac")
    return tmp_path / "shaker"


@pytest.fixture
def truth(tmp_path):
    for kind, values in (("data", "10"), ("domain", "01")):
        lines = [f"section_00_000{index}.wav,{value}\r\n" for index, value in enumerate(values)]
        write(tmp_path / f"truth/ground_truth_{kind}/ground_truth_shaker_section_00_test.csv", "".join(lines))
    return tmp_path / "truth"


def told(rows):
    return [(row["split"], row["domain"], row["label"], row["attributes"]) for row in rows]


def test_labels_and_domains_are_the_official_ones(machine, truth):
    assert told(merge_ground_truth(read_dcase_sections(machine), truth)) == [
        ("train", "source", "normal", "a"),
        ("test", "source", "anomaly", ""),
        ("test", "target", "normal", ""),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "section_00_0000.wav,section_00_source_test_anomaly_0000_speed_2.5\n"
        "section_00_0001.wav,section_00_source_test_normal_0001_speed_3\n",  # contradicts the official domain
        "file_name,d1p,d1v,file_name_with_attributes\n"
        "shaker/test/section_00_0000.wav,speed,2.5,section_00_source_test_anomaly_0000_speed_2.5.wav\n",
    ],
)
def test_attributes_are_those_of_labelled_names_that_agree(machine, truth, text):
    write(truth / "ground_truth_attributes/ground_truth_shaker_section_00_test.csv", text)
    rows = merge_ground_truth(read_dcase_sections(machine), truth)
    assert [row["attributes"] for row in rows] == ["a", "speed_2.5", ""]
    assert told(rows)[2] == ("test", "target", "normal", "")


def test_when_the_domain_is_in_the_names_then_the_label_is_merged(tmp_path):
    write(tmp_path / "fan/target_test/section_03_target_test_0007.wav")
    name = "ground_truth_fan_section_03_target_test.csv"
    write(tmp_path / "truth/ground_truth_data" / name, "section_03_target_test_0007.wav,1\n")
    rows = merge_ground_truth(read_dcase_sections(tmp_path / "fan"), tmp_path / "truth")
    assert told(rows) == [("test", "target", "anomaly", "")]


def test_labels_of_2020_come_from_its_list(tmp_path):
    write(tmp_path / "fan/test/id_01_00000000.wav")
    write(tmp_path / "truth/eval_data_list.csv", "fan\nid_01_00000000.wav,anomaly_id_01_00000003.wav,1\n")
    rows = merge_ground_truth(read_dcase_2020(tmp_path / "fan"), tmp_path / "truth")
    assert told(rows) == [("test", "source", "anomaly", "")]


def test_when_clips_and_ground_truth_differ_then_error_names_the_clip(machine, truth):
    rows = read_dcase_sections(machine)
    with pytest.raises(FileNotFoundError, match=r"section_00_0001\.wav of shaker, section 00, is in the ground truth"):
        merge_ground_truth(rows[:2], truth)
    write(machine / "test/section_00_0002.wav")
    with pytest.raises(ValueError, match=r"shaker/test/section_00_0002\.wav is not in the ground truth"):
        merge_ground_truth(read_dcase_sections(machine), truth)
    with pytest.raises(ValueError, match="no test lacks its label"):
        merge_ground_truth(rows[:1], truth)


def test_when_a_folder_of_the_ground_truth_is_missing_then_error_names_it(machine, truth, tmp_path):
    rows = read_dcase_sections(machine)
    shutil.rmtree(truth / "ground_truth_domain")
    with pytest.raises(FileNotFoundError, match=r"ground_truth_domain does not exist, but file names in .* no domain"):
        merge_ground_truth(rows, truth)
    shutil.rmtree(truth / "ground_truth_data")
    with pytest.raises(FileNotFoundError, match=r"holds neither ground_truth_data nor eval_data_list\.csv"):
        merge_ground_truth(rows, truth)
