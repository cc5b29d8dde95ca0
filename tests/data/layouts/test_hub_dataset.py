"""Data sets with the columns of RMIS, or with ours, become tables of recordings whose audio can be read."""

import numpy as np
import pytest
import soundfile as sf
from datasets import Audio, ClassLabel, Dataset, DatasetDict

from modeling_retainmix.audio import audio_sources
from modeling_retainmix.data.layouts import hub_dataset
from modeling_retainmix.data.layouts.hub_dataset import read_hub_table


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Puts a data set in the place of the Hub's."""
    paths = [str(tmp_path / f"{index}.wav") for index in range(2)]
    for index, path in enumerate(paths):
        sf.write(path, np.full(100, 0.1 * (index + 1)) * np.array([1, -1] * 50), 16000, subtype="FLOAT")

    def set_splits(**splits):
        tables = {
            name: Dataset.from_dict({"audio": paths, **columns}).cast_column("audio", Audio(decode=False))
            for name, columns in splits.items()
        }
        monkeypatch.setattr(hub_dataset, "load_dataset", lambda name: DatasetDict(tables))
        return tables

    return set_splits


def test_columns_of_rmis_are_read_from_every_split(load):
    common = {"file_name": ["a.wav", "b.wav"], "mt": ["fan", "fan"], "sec": [0, 1], "attri": ["x", None]}
    load(
        train={**common, "domain": ["source", "target"], "status": ["normal", "normal"]},
        eval_test={**common, "domain": ["source", "target"], "status": ["anomaly", "normal"]},
    )
    table = read_hub_table("acme/machines")
    assert table["split"][:] == ["train", "train", "test", "test"]
    assert table["label"][:] == ["normal", "normal", "anomaly", "normal"]
    assert table["section"][:] == ["00", "01"] * 2
    assert table["attributes"][:] == ["x", ""] * 2
    assert table["file_name"][:] == ["a.wav", "b.wav"] * 2
    assert [float(source.load()[0]) for source in audio_sources(table["audio"])] == pytest.approx([0.1, 0.2] * 2)


def test_when_labels_are_numbers_and_audio_has_another_name_then_both_are_read(load, monkeypatch):
    tables = load(test={"machine_type": ["fan", "pump"], "label": [1, 0]})
    named = tables["test"].cast_column("label", ClassLabel(names=["normal", "anomaly"]))
    named = DatasetDict(test=named.rename_column("audio", "sound"))
    monkeypatch.setattr(hub_dataset, "load_dataset", lambda name: named)
    table = read_hub_table("acme/machines")
    assert table["label"][:] == ["anomaly", "normal"]
    assert table["machine_type"][:] == ["fan", "pump"]
    assert [float(source.load()[0]) for source in audio_sources(table["audio"])] == pytest.approx([0.1, 0.2])


def test_when_a_row_or_a_split_breaks_a_rule_then_error_names_it(load):
    load(train={"mt": ["fan", "fan"], "status": ["normal", "loose"]})
    with pytest.raises(ValueError, match=r"acme/machines, split train, row 1 has the label 'loose'"):
        read_hub_table("acme/machines")
    load(validation={"mt": ["fan", "fan"]})
    with pytest.raises(ValueError, match="split 'validation' of acme/machines names neither train nor test"):
        read_hub_table("acme/machines")


def test_when_a_split_is_chosen_then_the_others_may_have_any_name(load):
    load(train={"mt": ["fan", "pump"]}, validation={"mt": ["fan", "fan"]})
    assert read_hub_table("acme/machines", "train")["machine_type"][:] == ["fan", "pump"]
    load(all={"mt": ["fan", "pump"], "split": ["test", "train"]})
    assert read_hub_table("acme/machines", "train")["machine_type"][:] == ["pump"]
    with pytest.raises(ValueError, match="acme/machines has no recording of the split supplemental"):
        read_hub_table("acme/machines", "supplemental")


def test_when_there_is_no_audio_column_then_error_says_so(monkeypatch):
    tables = DatasetDict(train=Dataset.from_dict({"mt": ["fan"]}))
    monkeypatch.setattr(hub_dataset, "load_dataset", lambda name: tables)
    with pytest.raises(ValueError, match="acme/machines has 0 audio columns"):
        read_hub_table("acme/machines")


def test_when_there_is_no_such_data_set_then_error_names_it(monkeypatch):
    def load_dataset(name):
        raise FileNotFoundError("no such repository")

    monkeypatch.setattr(hub_dataset, "load_dataset", load_dataset)
    with pytest.raises(FileNotFoundError, match=r"acme/absent is neither a folder nor .*no such repository"):
        read_hub_table("acme/absent")
