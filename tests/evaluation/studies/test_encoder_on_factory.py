"""Options of the commands on the procedural factory."""

import csv
import shutil

import pytest
from safetensors.torch import load_file, save_file
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


@pytest.mark.parametrize("lost", ["layers.0", "layers.1"])
def test_when_weights_are_missing_then_the_commands_refuse_the_encoder(factory_folders, tmp_path, lost):  # noqa: F811
    encoder, _ = factory_folders
    shutil.copytree(encoder, tmp_path, dirs_exist_ok=True)
    tensors = load_file(tmp_path / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if lost not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"the weights of {tmp_path} lack the tensor {lost}\."):
        load_encoder_and_machines(factory_parser(None).parse_args(["--model", str(tmp_path)]))


def test_when_there_is_no_such_encoder_then_error_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        load_encoder_and_machines(factory_parser(None).parse_args(["--model", str(tmp_path / "absent")]))


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
