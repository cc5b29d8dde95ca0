"""One reader takes every layout, decides by what it finds, and its tables decode."""

import numpy as np
import pytest
import soundfile as sf

from modeling_retainmix.data import recordings
from modeling_retainmix.data.decoding import decode_table
from modeling_retainmix.data.layouts.columns import COLUMNS
from modeling_retainmix.data.layouts.dcase_sections import FAR_CHANNEL, NEAR_CHANNEL
from modeling_retainmix.data.recordings import (
    read_evaluation_recordings,
    read_recordings,
    scoring_rules,
)

RATE = 16000


def write(path, channels=1, amplitude=0.5):
    path.parent.mkdir(parents=True, exist_ok=True)
    clip = amplitude * np.sin(np.arange(400))[:, None] / (1 + np.arange(channels))
    sf.write(path, clip, RATE)


def test_every_folder_layout_gives_the_same_columns(tmp_path):
    write(tmp_path / "2020/fan/train/normal_id_00_00000000.wav")
    write(tmp_path / "2021/fan/source_test/section_00_source_test_normal_0000.wav")
    write(tmp_path / "2023/fan/test/section_00_0000.wav")
    write(tmp_path / "own/a.wav")
    (tmp_path / "own/metadata.csv").write_text("file_name,machine_type\na.wav,fan\n")
    for name in ("2020", "2021", "2023", "own"):
        table = read_recordings(tmp_path / name)
        assert tuple(table.column_names) == COLUMNS
        assert table["machine_type"][:] == ["fan"]


@pytest.mark.parametrize(
    ("names", "rules"),
    [
        (("train/normal_id_00_00000000", "test/id_00_00000000"), 2020),
        (("train/section_00_source_train_normal_0000", "source_test/section_00_source_test_normal_0000"), 2021),
        (("train/section_00_source_train_normal_0000", "test/section_00_source_test_normal_0000"), 2023),
        (("train/section_00_source_train_normal_0000",), 2023),
    ],
)
def test_the_layout_tells_by_which_years_rules_recordings_are_scored(tmp_path, names, rules):
    for name in names:
        write(tmp_path / f"fan/{name}.wav")
    assert scoring_rules(read_recordings(tmp_path)) == rules


def test_several_years_together_are_scored_by_the_rules_of_the_last(tmp_path):
    write(tmp_path / "fan/source_test/section_00_source_test_normal_0000.wav")
    write(tmp_path / "pump/test/section_00_source_test_normal_0000.wav")
    write(tmp_path / "valve/test/normal_id_00_00000000.wav")
    assert scoring_rules(read_recordings(tmp_path)) == 2023


def test_when_recordings_have_two_channels_then_near_and_far_are_decoded(tmp_path):
    write(tmp_path / "ToyDrone/train/section_00_source_train_normal_0000_noAttribute.wav", channels=2)
    table = read_recordings(tmp_path)
    near, far = (
        np.array(decode_table(table, tmp_path / "cache", channel=channel)["audio"][0])
        for channel in (NEAR_CHANNEL, FAR_CHANNEL)
    )
    np.testing.assert_allclose(near, 2 * far, atol=2)
    with pytest.raises(ValueError, match=r"train_normal_0000.* has 2 channels: choose one with channel="):
        decode_table(table, tmp_path / "cache")


def test_when_clips_cannot_be_decoded_then_all_are_listed(tmp_path):
    for index in range(3):
        write(tmp_path / f"fan/test/section_00_000{index}.wav")
    for index in (0, 2):
        (tmp_path / f"fan/test/section_00_000{index}.wav").write_bytes(b"no sound")
    table = read_recordings(tmp_path)
    with pytest.raises(ValueError, match=r"2 clips cannot be used: .*section_00_0000\.wav.*section_00_0002\.wav"):
        decode_table(table, tmp_path / "cache")


def test_when_ground_truth_is_given_then_it_is_merged(tmp_path):
    write(tmp_path / "data/fan/test/section_00_0000.wav")
    for kind, value in (("data", 1), ("domain", 0)):
        folder = tmp_path / f"truth/ground_truth_{kind}"
        folder.mkdir(parents=True)
        (folder / "ground_truth_fan_section_00_test.csv").write_text(f"section_00_0000.wav,{value}\n")
    (row,) = read_recordings(tmp_path / "data", tmp_path / "truth")
    assert (row["label"], row["domain"]) == ("anomaly", "source")


def test_when_there_is_no_folder_then_a_name_is_looked_up_on_the_hub(monkeypatch):
    monkeypatch.setattr(recordings, "read_hub_table", lambda name, split: f"table of {name}, {split}")
    assert read_recordings("acme/no-such-folder") == "table of acme/no-such-folder, None"
    with pytest.raises(ValueError, match="acme/no-such-folder is not a folder, so ground_truth='truth' does not fit"):
        read_recordings("acme/no-such-folder", "truth")


def test_when_a_split_is_chosen_then_others_are_left_out(tmp_path):
    for name in ("train/section_00_source_train_normal_0000", "supplemental/section_00_noise_0000"):
        write(tmp_path / f"fan/{name}.wav")
    assert read_recordings(tmp_path, split="train")["split"][:] == ["train"]
    with pytest.raises(ValueError, match="holds 2 recordings, but none of the split 'test'"):
        read_recordings(tmp_path, split="test")


def test_when_there_is_neither_folder_nor_name_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_recordings(tmp_path / "nowhere")


NAMES = (
    "train/section_00_source_train_normal_0000_vel_8.wav",
    "train/section_00_target_train_normal_0001_vel_2.wav",
    "test/section_00_source_test_normal_0000.flac",
    "test/section_00_target_test_anomaly_0001.wav",
)


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")  # names alone are read
    return root


@pytest.fixture
def root(tmp_path):
    for machine_type in ("fan", "valve"):
        touch(tmp_path / machine_type, *NAMES)
    return tmp_path


def cells(table):
    return sorted(zip(table["split"], table["domain"], table["label"], strict=True))


EXPECTED = [
    ("test", "source", "normal"),
    ("test", "target", "anomaly"),
    ("train", "source", "normal"),
    ("train", "target", "normal"),
]


def test_when_tests_are_labelled_then_all_but_supplemental_recordings_are_read(root):
    touch(root / "fan", "supplemental/section_00_noise_0000.wav", "attributes_00.csv")
    table = read_evaluation_recordings(root)
    assert table["machine_type"][:] == ["fan"] * 4 + ["valve"] * 4
    assert cells(table.select(range(4))) == EXPECTED


def test_layout_of_2021_with_a_folder_per_domain_is_read(tmp_path):
    touch(tmp_path / "fan", NAMES[0], NAMES[1])
    touch(tmp_path / "fan/source_test", "section_00_source_test_normal_0000.wav")
    touch(tmp_path / "fan/target_test", "section_00_target_test_anomaly_0000.wav")
    assert cells(read_evaluation_recordings(tmp_path)) == EXPECTED


def test_metadata_is_read(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav")
    lines = ["a.wav,train,source,", "b.wav,train,target,", "c.wav,test,source,normal", "d.wav,test,target,anomaly"]
    header = "file_name,split,domain,label,machine_type\n"
    (tmp_path / "metadata.csv").write_text(header + "".join(f"{line},fan\n" for line in lines))
    assert cells(read_evaluation_recordings(tmp_path)) == EXPECTED


@pytest.fixture
def anonymous(tmp_path):
    """An evaluation set without labels, and its ground truth."""
    data = touch(tmp_path / "data", *(f"fan/{name}" for name in NAMES[:2]))
    touch(data, "fan/test/section_00_0000.wav", "fan/test/section_00_0001.wav")
    for kind in ("data", "domain"):
        file = tmp_path / f"truth/ground_truth_{kind}/ground_truth_fan_section_00_test.csv"
        file.parent.mkdir(parents=True)
        file.write_text("section_00_0000.wav,0\nsection_00_0001.wav,1\n")
    return data, tmp_path / "truth"


def test_when_ground_truth_is_given_then_tests_without_labels_are_read(anonymous):
    assert cells(read_evaluation_recordings(*anonymous)) == EXPECTED


def test_when_tests_have_no_labels_then_error_asks_for_the_ground_truth(anonymous):
    with pytest.raises(
        ValueError, match=r"2 of 2 tests of the machine type fan \(section 00\) have no label .*--ground_truth"
    ):
        read_evaluation_recordings(anonymous[0])


def test_when_a_machine_type_has_no_references_then_error_names_it(root):
    touch(root, "pump/test/section_00_source_test_normal_0000.wav")
    with pytest.raises(ValueError, match=r"holds no references of the machine type pump \(section 00\)"):
        read_evaluation_recordings(root)


@pytest.mark.parametrize("label", ["normal", "anomaly"])
def test_when_tests_lack_a_label_then_error_names_it(root, label):
    for path in (root / "valve" / "test").glob(f"*_{label}_*"):
        path.unlink()
    with pytest.raises(
        ValueError, match=rf"holds no {label} test of the machine type valve \(section 00\) among its 1"
    ):
        read_evaluation_recordings(root)


def test_when_a_machine_type_has_no_tests_then_error_names_it(root):
    touch(root, "pump/train/section_00_source_train_normal_0000.wav")
    with pytest.raises(ValueError, match=r"holds no normal test of the machine type pump \(section 00\) among its 0"):
        read_evaluation_recordings(root)


def test_when_one_of_several_sections_has_no_references_then_error_names_it(root):
    touch(root / "fan/test", "section_02_source_test_normal_0000.wav", "section_02_target_test_anomaly_0000.wav")
    with pytest.raises(ValueError, match=r"holds no references of the machine type fan \(section 02\)"):
        read_evaluation_recordings(root)
