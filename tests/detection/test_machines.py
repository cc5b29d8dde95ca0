"""Which folders are machines, and where the references and tests of one lie."""

import pytest

from modeling_retainmix.detection.machines import machine_folders, part_of_machine


def test_every_folder_is_a_machine_and_its_parts_are_subfolders_or_itself(tmp_path):
    for name in ("pump/train", "fan", ".git"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    assert machine_folders(tmp_path) == {"fan": tmp_path / "fan", "pump": tmp_path / "pump"}
    assert part_of_machine(tmp_path / "pump", "train") == tmp_path / "pump" / "train"
    assert part_of_machine(tmp_path / "pump", "test") == tmp_path / "pump"


def test_when_there_is_no_machine_then_error_names_the_folder(tmp_path):
    with pytest.raises(ValueError, match="holds no folder: make one for each machine"):
        machine_folders(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        machine_folders(tmp_path / "nowhere")
