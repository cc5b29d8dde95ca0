"""Names of 2021 and later are read in all their forms; a broken one is named."""

import pytest

from modeling_retainmix.data.layouts.dcase_sections import parse_dcase_name, read_dcase_sections


def write(machine, *names):
    for name in names:
        path = machine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return machine


def told(machine, *columns):
    return [tuple(row[column] for column in columns) for row in read_dcase_sections(machine)]


def test_when_tests_lie_in_a_folder_per_domain_then_both_are_read(tmp_path):
    write(
        tmp_path / "fan",
        "train/section_00_source_train_normal_0000_strength_1_ambient.wav",
        "source_test/section_00_source_test_anomaly_0000.wav",
        "target_test/section_03_target_test_0001.wav",  # evaluation set of 2021: the domain is told, the label not
    )
    assert told(tmp_path / "fan", "section", "split", "domain", "label", "attributes") == [
        ("00", "train", "source", "normal", "strength_1_ambient"),
        ("00", "test", "source", "anomaly", ""),
        ("03", "test", "target", "", ""),
    ]


def test_when_tests_are_anonymous_then_label_and_domain_are_empty(tmp_path):
    write(tmp_path / "Vacuum", "test/section_00_0000.wav", "test/section_00_test_0001.wav")
    assert told(tmp_path / "Vacuum", "section", "split", "domain", "label") == [("00", "test", "", "")] * 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("section_00_machine_0001_.wav", "normal"),
        ("section_00_machine_source_0000_noAttribute.wav", "normal"),
        ("section_00_source_supplemental_machine_0000.wav", "normal"),
        ("section_00_noise_supplemental_normal_0000.wav", "noise"),
    ],
)
def test_supplemental_clips_are_told_by_one_word_wherever_it_stands(tmp_path, name, kind):
    machine = write(tmp_path / "ToyPet", f"supplemental/{name}")
    assert told(machine, "section", "split", "label", "domain") == [("00", "supplemental", kind, "source")]


def test_when_machines_have_no_attributes_then_the_word_for_it_is_none():
    assert parse_dcase_name("section_00_source_train_normal_0000_noAttribute")["attributes"] == ""


def test_when_attributes_hold_underscores_and_dots_then_they_stay_whole():
    parts = parse_dcase_name("section_03_target_test_anomaly_0123_car_B2_spd_2.5_mic_1")
    assert parts == {
        "section": "03",
        "domain": "target",
        "split": "test",
        "label": "anomaly",
        "attributes": "car_B2_spd_2.5_mic_1",
    }


def test_when_the_word_test_is_missing_before_a_label_then_it_is_a_test():
    parts = parse_dcase_name("section_00_source_anomaly_0012_loc_B")
    assert (parts["split"], parts["label"], parts["attributes"]) == ("test", "anomaly", "loc_B")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/section_00_0000.wav", "breaks the naming rule of references"),
        ("train/section_00_source_train_anomaly_0000.wav", "breaks the naming rule of references"),
        ("train/section_00_source_test_normal_0000.wav", "breaks the naming rule of references"),
        ("test/section_00_source_train_normal_0000.wav", "breaks the naming rule of tests"),
        ("test/section_00_test_normal_0000.wav", "breaks the naming rule of tests"),  # no domain
        ("test/section_00_source_0000.wav", "breaks the naming rule of tests"),
        ("test/recording 1.wav", "breaks the naming rule of tests"),
        ("source_test/section_00_target_test_0000.wav", "is not named as of the source domain"),
        ("supplemental/section_00_0000.wav", "breaks the naming rule of supplemental clips"),
        ("supplemental/section_00_machine_noise_0000.wav", "breaks the naming rule of supplemental clips"),
    ],
)
def test_when_a_name_breaks_a_rule_then_error_names_file_and_rule(tmp_path, name, message):
    machine = write(tmp_path / "fan", name)
    with pytest.raises(ValueError, match=rf"fan/{name} {message}"):
        read_dcase_sections(machine)


def test_when_a_folder_is_empty_then_error_names_it(tmp_path):
    (tmp_path / "fan" / "test").mkdir(parents=True)
    with pytest.raises(ValueError, match="fan/test holds no sound file"):
        read_dcase_sections(tmp_path / "fan")
