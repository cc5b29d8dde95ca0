"""The DCASE layout is read into the common schema; broken layouts give an error that names file and rule."""

import pytest

from modeling_retainmix.data.dcase_folder import parse_dcase_name, read_dcase_folder

NAMES = (
    "train/section_00_source_train_normal_0000_vel_8-a.wav",
    "train/section_00_target_train_normal_0001_vel_2.5.wav",
    "test/section_00_source_test_normal_0000_.flac",
    "test/section_00_target_test_anomaly_0001.wav",
)


@pytest.fixture
def root(tmp_path):
    for machine_type in ("fan", "valve"):
        for name in NAMES:
            path = tmp_path / machine_type / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")  # names alone are read
    return tmp_path


def test_when_layout_is_sound_then_rows_tell_what_names_and_folders_say(root):
    rows = list(read_dcase_folder(root))
    assert [row["machine_type"] for row in rows] == ["fan"] * 4 + ["valve"] * 4
    assert rows[0] == {
        "path": str(root / "fan" / NAMES[0]),
        "machine_type": "fan",
        "section": "00",
        "domain": "source",
        "split": "train",
        "label": "normal",
        "attributes": "vel_8-a",
        "factory": "",
        "fault": "",
    }
    told = [(row["domain"], row["split"], row["label"], row["attributes"]) for row in rows[1:4]]
    assert told == [
        ("target", "train", "normal", "vel_2.5"),
        ("source", "test", "normal", ""),
        ("target", "test", "anomaly", ""),
    ]


def test_when_root_is_one_machine_type_then_its_folder_names_it(root):
    assert set(read_dcase_folder(root / "fan")["machine_type"]) == {"fan"}


def test_when_other_folders_lie_beside_the_splits_then_they_are_not_read(root):
    (root / "fan" / "supplemental").mkdir()
    (root / "fan" / "supplemental" / "section_00_noise_0000.wav").write_bytes(b"")
    (root / "fan" / "attributes_00.csv").write_text("file_name\n")
    assert len(read_dcase_folder(root)) == 8


def test_when_folder_is_missing_then_error_names_it(root):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        read_dcase_folder(root / "nowhere")


def test_when_folder_is_empty_then_error_names_it_and_the_layout(tmp_path):
    with pytest.raises(ValueError, match=rf"{tmp_path} holds no machine type: expected folders"):
        read_dcase_folder(tmp_path)


def test_when_machine_type_lacks_a_split_then_error_names_it(root):
    (root / "pump").mkdir()
    with pytest.raises(FileNotFoundError, match=r"pump/train does not exist"):
        read_dcase_folder(root)


@pytest.mark.parametrize(("split", "what"), [("train", "no references"), ("test", "no tests")])
def test_when_a_split_is_empty_then_error_names_the_machine_type(root, split, what):
    for path in (root / "valve" / split).iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=rf"valve/{split} holds no sound file, the machine type has {what}"):
        read_dcase_folder(root)


@pytest.mark.parametrize("label", ["normal", "anomaly"])
def test_when_tests_lack_a_label_then_error_names_it(root, label):
    for path in (root / "fan" / "test").glob(f"*_{label}_*"):
        path.unlink()
    with pytest.raises(ValueError, match=rf"fan/test holds no {label} clip"):
        read_dcase_folder(root)


@pytest.mark.parametrize("name", ["recording 1.wav", "section_00_0000.wav", "section_00_source_train_normal_0007.mp3"])
def test_when_a_name_breaks_the_rule_then_error_names_file_and_rule(root, name):
    (root / "fan" / "train" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"fan/train/{name} breaks the naming rule section_<NN>_"):
        read_dcase_folder(root)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("section_00_source_test_normal_0009.wav", "is a test clip in the folder 'train'"),
        ("section_00_source_train_anomaly_0009.wav", "labelled 'anomaly', but references must be normal"),
    ],
)
def test_when_a_clip_lies_in_the_wrong_place_then_error_names_it(root, name, message):
    (root / "fan" / "train" / name).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{name} {message}|{name} is {message}"):
        read_dcase_folder(root)


def test_when_attributes_hold_underscores_and_dots_then_they_stay_whole():
    parts = parse_dcase_name("section_03_target_test_anomaly_0123_car_B2_spd_2.5_mic_1")
    assert parts["section"] == "03"
    assert parts["attributes"] == "car_B2_spd_2.5_mic_1"
