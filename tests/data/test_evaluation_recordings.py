"""Every layout with labelled tests can be scored on; what a score cannot be made of is named."""

import pytest

from modeling_retainmix.data.evaluation_recordings import read_evaluation_recordings

NAMES = (
    "train/section_00_source_train_normal_0000_vel_8.wav",
    "train/section_00_target_train_normal_0001_vel_2.wav",
    "test/section_00_source_test_normal_0000.flac",
    "test/section_00_target_test_anomaly_0001.wav",
)


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")  # names alone are read
    return root


@pytest.fixture
def root(tmp_path):
    for machine_type in ("fan", "valve"):
        write(tmp_path / machine_type, *NAMES)
    return tmp_path


def told(table):
    return sorted(zip(table["split"], table["domain"], table["label"], strict=True))


EXPECTED = [
    ("test", "source", "normal"),
    ("test", "target", "anomaly"),
    ("train", "source", "normal"),
    ("train", "target", "normal"),
]


def test_when_tests_are_labelled_then_all_but_supplemental_recordings_are_read(root):
    write(root / "fan", "supplemental/section_00_noise_0000.wav", "attributes_00.csv")
    table = read_evaluation_recordings(root)
    assert table["machine_type"][:] == ["fan"] * 4 + ["valve"] * 4
    assert told(table.select(range(4))) == EXPECTED


def test_layout_of_2021_with_a_folder_per_domain_is_read(tmp_path):
    write(tmp_path / "fan", NAMES[0], NAMES[1])
    write(tmp_path / "fan/source_test", "section_00_source_test_normal_0000.wav")
    write(tmp_path / "fan/target_test", "section_00_target_test_anomaly_0000.wav")
    assert told(read_evaluation_recordings(tmp_path)) == EXPECTED


def test_metadata_is_read(tmp_path):
    write(tmp_path, "a.wav", "b.wav", "c.wav", "d.wav")
    lines = ["a.wav,train,source,", "b.wav,train,target,", "c.wav,test,source,normal", "d.wav,test,target,anomaly"]
    header = "file_name,split,domain,label,machine_type\n"
    (tmp_path / "metadata.csv").write_text(header + "".join(f"{line},fan\n" for line in lines))
    assert told(read_evaluation_recordings(tmp_path)) == EXPECTED


@pytest.fixture
def anonymous(tmp_path):
    """An evaluation set without labels, and its ground truth."""
    data = write(tmp_path / "data", *(f"fan/{name}" for name in NAMES[:2]))
    write(data, "fan/test/section_00_0000.wav", "fan/test/section_00_0001.wav")
    for kind in ("data", "domain"):
        file = tmp_path / f"truth/ground_truth_{kind}/ground_truth_fan_section_00_test.csv"
        file.parent.mkdir(parents=True)
        file.write_text("section_00_0000.wav,0\nsection_00_0001.wav,1\n")
    return data, tmp_path / "truth"


def test_when_ground_truth_is_given_then_tests_without_labels_are_read(anonymous):
    assert told(read_evaluation_recordings(*anonymous)) == EXPECTED


def test_when_tests_have_no_labels_then_error_asks_for_the_ground_truth(anonymous):
    with pytest.raises(
        ValueError, match=r"2 of 2 tests of the machine type fan \(section 00\) tell no label .*--ground_truth"
    ):
        read_evaluation_recordings(anonymous[0])


def test_when_a_machine_type_has_no_references_then_error_names_it(root):
    write(root, "pump/test/section_00_source_test_normal_0000.wav")
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
    write(root, "pump/train/section_00_source_train_normal_0000.wav")
    with pytest.raises(ValueError, match=r"holds no normal test of the machine type pump \(section 00\) among its 0"):
        read_evaluation_recordings(root)


def test_when_one_of_several_sections_has_no_references_then_error_names_it(root):
    write(root / "fan/test", "section_02_source_test_normal_0000.wav", "section_02_target_test_anomaly_0000.wav")
    with pytest.raises(ValueError, match=r"holds no references of the machine type fan \(section 02\)"):
        read_evaluation_recordings(root)
