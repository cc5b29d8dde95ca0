"""Options of the commands on the procedural factory."""

import csv

import pytest
from tiny_factory import factory_arguments, factory_folders  # noqa: F401

from modeling_retainmix.evaluation.studies.encoder_on_factory import (
    factory_parser,
    load_encoder_and_machines,
    write_csv,
)


@pytest.mark.slow
def test_machines_are_those_of_the_asked_split_and_the_layer_is_the_last_one(factory_arguments):  # noqa: F811
    validation, evaluation = (
        load_encoder_and_machines(factory_parser(None).parse_args([*factory_arguments, *more]))
        for more in ([], ["--evaluation"])
    )
    types = [{machine.machine_type for machine in loaded.machines} for loaded in (validation, evaluation)]
    assert len(types[0]) == len(types[1]) == 6
    assert not types[0] & types[1]
    assert validation.embedder.layers == [2]
    assert validation.sentence.startswith("Validation machines") and "layer 2." in validation.sentence
    assert evaluation.sentence.startswith("Evaluation machines")


def test_csv_has_a_column_per_subset_and_snr(tmp_path):
    row = {"name": "a, b", "layer": 2, "scores": {"Factory A": {"-10": 51.234, "0": 60.0}}}
    write_csv(tmp_path / "table.csv", [{**row, "hmean_low": 55.0, "hmean_all": 57.5}])
    with open(tmp_path / "table.csv", newline="") as file:
        (read,) = csv.DictReader(file)
    assert read == {
        "system": "a, b",
        "layer": "2",
        "Factory A -10 dB": "51.23",
        "Factory A 0 dB": "60.00",
        "hmean_low": "55.00",
        "hmean_all": "57.50",
    }
