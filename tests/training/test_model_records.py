"""What stays with the weights of a model: what it was trained on, and of which models it is the mean."""

import pytest

from modeling_retainmix.training.model_records import (
    data_of_parts,
    read_average,
    read_training_data,
    settings_of_parts,
    write_average,
    write_training_data,
)

PART = {"name": "a", "weights_sha256": "1", "settings": {"seed": 3}, "training_data": {"training": "plant"}}


def test_what_was_written_is_read(tmp_path):
    assert read_training_data(tmp_path) == {} and read_average(tmp_path) is None
    write_training_data(tmp_path, PART["training_data"])
    write_average(tmp_path, [PART, PART])
    assert read_training_data(tmp_path) == {"training": "plant"} and read_average(tmp_path) == [PART, PART]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("average.json", '{"average_of": [{"name": "a"}]}', r"average\.json of .* is damaged .*make the mean again"),
        ("average.json", "[1]", r"average\.json is damaged: it holds \[1\]"),
        ("training_data.json", "{", r"training_data\.json is not valid JSON"),
        ("training_data.json", "7", r"training_data\.json is damaged: it holds 7"),
    ],
)
def test_when_a_record_is_damaged_then_the_file_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_average(tmp_path) if name == "average.json" else read_training_data(tmp_path)


def test_settings_are_those_of_all_parts_and_each_part_tells_what_it_differs_in():
    parts = [
        {"name": "a", "weights_sha256": "1", "settings": {"alpha": 1.0, "beta": 0.0, "snr_db": [0], "seed": 3}},
        {"name": "b", "weights_sha256": "2", "settings": {"alpha": 1.0, "beta": 0.5, "snr_db": [0]}},
    ]
    run = {"alpha": 7.0, "beta": 7.0, "snr_db": [7], "seed": 7, "benchmark_seed": 2}
    settings, described = settings_of_parts(run, parts)
    assert settings == {"alpha": 1.0, "beta": 0.5, "snr_db": [0], "benchmark_seed": 2}
    assert [part["differs"] for part in described] == [{"beta": 0.0, "seed": 3}, {"beta": 0.5, "seed": None}]
    assert settings_of_parts(run, [{"name": "a", "weights_sha256": None, "settings": {}}])[0] == run


@pytest.mark.parametrize(
    ("stated", "license"),
    [
        ((None, None), None),
        ((None, "cc-by-4.0"), "cc-by-4.0"),
        (("cc-by-4.0", "cc-by-4.0"), "cc-by-4.0"),
        (("cc-by-4.0", "cc-by-nc-sa-4.0"), "other"),
    ],
)
def test_licence_of_the_training_data_of_a_part_is_that_of_the_mean(stated, license):
    parts = [{"training_data": {} if one is None else {"training_license": one}} for one in stated]
    assert data_of_parts(parts).get("training_license") == license


def test_data_of_a_mean_are_what_its_parts_share_and_all_their_data_sets():
    records = [
        {"training": "plant", "datasets": ["acme/plant"], "training_machine_clips": 5, "training_noise_clips": 2},
        {"training": "mill", "datasets": ["acme/mill", "acme/plant"], "training_machine_clips": 5},
        {},
    ]
    parts = [{"training_data": record} for record in records]
    assert data_of_parts(parts[:2]) == {
        "training": "that of each of the models it is the mean of: plant; mill",
        "datasets": ["acme/plant", "acme/mill"],
        "training_machine_clips": 5,
    }
    assert data_of_parts([parts[0]] * 2) == records[0] | {
        "training": "that of each of the models it is the mean of: plant"
    }
    assert data_of_parts([parts[0], parts[2]]) == {
        "training": "that of each of the models it is the mean of: plant; not recorded",
        "datasets": ["acme/plant"],
    }
