"""Rows of metadata get the columns of a table of recordings; values that break a rule are named."""

import pytest

from modeling_retainmix.data.layouts.columns import METADATA_COLUMNS, check_columns, row_from_metadata

RMIS = {"mt": "fan", "sec": 3, "domain": "target", "status": "abnormal", "attri": "spd_2", "file_name": "a.wav"}


def test_columns_of_rmis_become_ours():
    assert row_from_metadata(RMIS, "row 0", "test") == {
        "machine_type": "fan",
        "section": "03",
        "domain": "target",
        "split": "test",
        "label": "anomaly",
        "attributes": "spd_2",
        "factory": "",
        "fault": "",
    }


def test_when_columns_are_missing_then_a_reference_is_normal_and_a_test_unknown():
    reference = row_from_metadata({"machine_type": "fan"}, "row 0", "train")
    assert (reference["section"], reference["domain"], reference["label"]) == ("00", "source", "normal")
    test = row_from_metadata({"machine_type": "fan", "split": "test", "domain": None}, "row 0", "train")
    assert (test["split"], test["domain"], test["label"]) == ("test", "", "")


def test_when_label_is_no_state_of_a_machine_and_there_is_no_machine_type_then_it_is_one():
    row = row_from_metadata({"label": "fan"}, "row 0", "train")
    assert (row["machine_type"], row["label"]) == ("fan", "normal")
    with pytest.raises(ValueError, match="row 0 has no machine type"):
        row_from_metadata({"label": "anomaly"}, "row 0", "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mt": ""}, "no machine type: add the column machine_type"),
        ({"sec": "A"}, "section 'A'"),
        ({"domain": "Target"}, "domain 'Target'"),
        ({"status": "broken"}, "label 'broken'"),
        ({"split": "dev"}, "split 'dev'"),
        ({"split": "train"}, "labelled 'anomaly', but references must be normal"),
    ],
)
def test_when_a_value_breaks_a_rule_then_error_names_row_and_value(change, message):
    with pytest.raises(ValueError, match=rf"meta\.csv, line 7 .*{message}"):
        row_from_metadata(RMIS | change, "meta.csv, line 7", "test")


@pytest.mark.parametrize(
    ("column", "known"),
    [
        ("Domain", "domain"),
        ("machine type", "machine_type"),
        ("MachineType", "machine_type"),
        ("labels", "label"),
        ("sections", "section"),
        ("domian", "domain"),
        ("attribute", "attributes"),
        ("Split", "split"),
    ],
)
def test_when_a_column_looks_like_a_known_one_then_error_names_both(column, known):
    for others in ((), (known,)):
        with pytest.raises(ValueError, match=f"meta.csv has a column {column!r}, .* looks like {known!r}: rename it"):
            check_columns([*others, column], METADATA_COLUMNS, "meta.csv")


def test_when_columns_are_of_other_things_then_they_may_stand_there():
    others = ["speed", "sector", "id", "microphone", "temperature", "status_text", "machine", "date", "site", "rpm"]
    check_columns([*METADATA_COLUMNS, *others], METADATA_COLUMNS, "meta.csv")
