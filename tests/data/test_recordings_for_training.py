"""Training recordings in the naming of DCASE, with a metadata file, or as a data set of the Hub."""

import numpy as np
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, DatasetDict

from modeling_retainmix.data.layouts import hub_dataset
from modeling_retainmix.data.layouts.noise import read_training_noise
from modeling_retainmix.data.recordings import read_training_machines
from modeling_retainmix.data.training_clips import prepare_training_clips


def write(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).standard_normal(8000), 16000)
    return path


def test_when_folder_has_dcase_names_then_machine_and_attributes_come_from_them(tmp_path):
    write(tmp_path / "fan" / "train" / "section_00_source_train_normal_0001_speed_2.wav")
    write(tmp_path / "pump" / "train" / "section_01_target_train_normal_0002.flac")
    write(tmp_path / "pump" / "test" / "section_01_target_test_anomaly_0002.wav")
    table = read_training_machines(str(tmp_path))
    assert table["machine_type"][:] == ["fan", "pump"]
    assert table["attributes"][:] == ["speed_2", ""]


def test_when_folder_is_one_machine_type_then_its_name_is_the_type(tmp_path):
    write(tmp_path / "fan" / "train" / "section_00_source_train_normal_0001_speed_2.wav")
    assert read_training_machines(str(tmp_path / "fan"))["machine_type"][:] == ["fan"]


def test_when_folder_has_metadata_then_columns_come_from_it(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "clips" / f"{name}.wav")
    (tmp_path / "metadata.csv").write_text("file_name,machine_type,attributes\nclips/a.wav,fan,x\nclips/b.wav,pump,\n")
    table = read_training_machines(str(tmp_path))
    assert table["path"][:] == [str(tmp_path / "clips" / "a.wav"), str(tmp_path / "clips" / "b.wav")]
    assert table["machine_type"][:] == ["fan", "pump"]
    assert table["attributes"][:] == ["x", ""]


def test_when_metadata_has_a_label_only_then_it_is_the_class(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("file_name,label\na.wav,hall\n")
    assert read_training_noise(str(tmp_path))["noise_class"][:] == ["hall"]
    assert read_training_machines(str(tmp_path))["machine_type"][:] == ["hall"]


def test_when_noise_folder_has_no_metadata_then_file_names_tell_the_class(tmp_path):
    for name in ("stationary/hall_1", "non_stationary/press_7"):
        write(tmp_path / f"{name}.wav")
    assert sorted(read_training_noise(str(tmp_path))["noise_class"]) == ["hall", "press"]


@pytest.mark.parametrize(
    ("content", "error", "named"),
    [
        ("file_name,class\na.wav,fan\n", ValueError, "metadata.csv, line 2 has no machine type"),
        ("path,machine_type\na.wav,fan\n", ValueError, "no column file_name"),
        ("file_name,machine_type\nabsent.wav,fan\n", FileNotFoundError, "absent.wav"),
    ],
)
def test_when_metadata_is_wrong_then_error_names_what_is_missing(tmp_path, content, error, named):
    write(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text(content)
    with pytest.raises(error, match=named):
        read_training_machines(str(tmp_path))


def test_when_files_have_any_names_then_the_folder_is_the_machine(tmp_path):
    write(tmp_path / "own" / "pump 3" / "train" / "rec_001.wav")
    write(tmp_path / "own" / "fan" / "train" / "monday" / "rec_001.wav")
    write(tmp_path / "own" / "fan" / "train" / "tuesday" / "rec_001.wav")
    table = read_training_machines(str(tmp_path / "own"))
    assert table["machine_type"][:] == ["fan", "fan", "pump 3"]
    assert table["attributes"][:] == ["", "", ""]


def test_when_file_breaks_the_naming_then_error_names_it(tmp_path):
    write(tmp_path / "fan" / "train" / "section_00_source_train_normal_0001.wav")
    write(tmp_path / "fan" / "train" / "recording 7.wav")
    with pytest.raises(ValueError, match=r"recording 7\.wav.*metadata\.csv"):
        read_training_machines(str(tmp_path))


def test_when_folder_is_empty_then_error_names_both_forms(tmp_path):
    with pytest.raises(ValueError, match=r"holds neither a metadata\.csv nor a machine type"):
        read_training_machines(str(tmp_path))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Data sets by name, in place of the Hub."""
    paths = [str(write(tmp_path / f"{seed}.wav", seed)) for seed in range(3)]
    table = Dataset.from_dict({"sound": paths, "label": [1, 0, 1]}).cast_column("sound", Audio(decode=False))
    tables = {"plant/sounds": table.cast_column("label", ClassLabel(names=["fan", "pump"]))}

    def load(name):
        if name not in tables:
            raise FileNotFoundError(f"Couldn't find any data file at {name}")
        return DatasetDict(train=tables[name], validation=tables[name].select([0]))

    monkeypatch.setattr(hub_dataset, "load_dataset", load)
    return paths


def test_when_source_is_a_data_set_then_its_audio_and_labels_are_read(hub, tmp_path):
    table = read_training_machines("plant/sounds")
    assert table["machine_type"][:] == ["pump", "fan", "pump"]
    clips, report = prepare_training_clips(table, tmp_path / "cache")
    assert report.kept == 3
    expected = soundfile.read(hub[1], dtype="int16")[0]
    assert clips["audio"][1] == expected.tolist()


def test_when_noise_is_a_data_set_then_its_classes_are_read(hub, tmp_path):
    table = read_training_noise("plant/sounds")
    assert table["noise_class"][:] == ["pump", "fan", "pump"]
    clips, _ = prepare_training_clips(table, tmp_path / "cache")
    assert clips["audio"][2] == soundfile.read(hub[2], dtype="int16")[0].tolist()


def test_when_noise_has_no_class_then_error_names_the_line(tmp_path):
    write(tmp_path / "a.wav")
    (tmp_path / "metadata.csv").write_text("file_name,place\na.wav,hall\n")
    with pytest.raises(ValueError, match=r"metadata\.csv, line 2 names no noise_class .*file_name, place: add it"):
        read_training_noise(str(tmp_path))


def test_when_source_is_nothing_then_error_names_it(hub):
    with pytest.raises(FileNotFoundError, match="plant/absent is neither a folder nor a data set"):
        read_training_machines("plant/absent")
