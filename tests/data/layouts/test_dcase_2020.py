"""Names of 2020 are read; a broken one is named."""

import pytest

from modeling_retainmix.data.layouts.dcase_2020 import read_dcase_2020


@pytest.fixture
def machine(tmp_path):
    for name in (
        "train/normal_id_00_00000000.wav",
        "test/anomaly_id_00_00000001.wav",
        "test/normal_id_02_00000000.wav",
        "test/id_01_00000005.wav",
    ):
        path = tmp_path / "fan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "fan"


def test_names_tell_label_and_machine_id(machine):
    rows = read_dcase_2020(machine)
    told = [(row["split"], row["section"], row["label"]) for row in rows]
    assert told == [
        ("train", "00", "normal"),
        ("test", "00", "anomaly"),
        ("test", "01", ""),  # evaluation set
        ("test", "02", "normal"),
    ]
    assert {(row["machine_type"], row["domain"], row["attributes"]) for row in rows} == {("fan", "source", "")}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test/section_00_0000.wav", "breaks the naming rule of 2020"),
        ("train/anomaly_id_00_00000003.wav", "is not named normal, as references must be"),
        ("train/id_00_00000003.wav", "is not named normal, as references must be"),
    ],
)
def test_when_a_name_breaks_a_rule_then_error_names_file_and_rule(machine, name, message):
    (machine / name).write_bytes(b"")
    with pytest.raises(ValueError, match=rf"fan/{name} {message}"):
        read_dcase_2020(machine)
