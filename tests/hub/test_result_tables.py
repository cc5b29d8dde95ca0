"""Reading results.json: its errors name the file and the entry; its tables hold its numbers."""

import json

import pytest

from modeling_retainmix.hub.result_tables import (
    machine_table,
    markdown_table,
    model_row,
    protocol_sentence,
    read_results,
)


def delete(results: dict, *keys: str | int) -> None:
    for key in keys[:-1]:
        results = results[key]
    del results[keys[-1]]


def test_complete_file_is_returned_as_it_stands(checkpoint_folder, results):
    assert read_results(checkpoint_folder / "results.json") == results


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (("command",), "command"),
        (("protocol", "k"), "protocol.k"),
        (("model", "base_model"), "model.base_model"),
        (("data", "evaluation"), "data.evaluation"),
        (("rows", 1, "hmean_low"), r"rows\[1\].hmean_low"),
        (("rows", 2, "scores", "Mismatch"), r"rows\[2\].scores.Mismatch"),
        (("rows", 0, "scores", "Factory B", "0"), r"rows\[0\].scores.Factory B.0"),
        (("rows",), "rows"),
    ],
)
def test_when_an_entry_is_missing_then_error_names_file_and_entry(tmp_path, results, keys, named):
    delete(results, *keys)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match=rf"results.json lacks {named}"):
        read_results(path)


@pytest.mark.parametrize("value", [float("nan"), 101.0, "61.2"])
def test_when_a_score_is_no_percentage_then_error_names_the_row(tmp_path, results, value):
    results["rows"][1]["scores"]["Mismatch"]["0"] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match=r"a score of rows\[1\] \(RetainMix\)"):
        read_results(path)


def test_when_there_is_no_file_or_no_json_or_another_version_then_error_says_so(tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match=r"results\.json does not exist"):
        read_results(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"results\.json is not valid JSON"):
        read_results(path)
    for content in ("[]", '{"format_version": 2}'):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"results\.json has format_version"):
            read_results(path)


def test_when_the_trained_model_has_no_row_then_error_says_so(tmp_path, results):
    del results["rows"][1]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    with pytest.raises(ValueError, match="has no row named 'RetainMix'"):
        read_results(path)


def test_table_has_a_row_per_system_and_a_column_per_cell(results):
    lines = markdown_table(results["rows"], results["protocol"]).splitlines()
    assert lines[0].startswith("| System | Layer | Factory A -10 dB | Factory A 0 dB |")
    assert lines[0].endswith("| Mismatch 10 dB | Hmean {-10, 0} | All |")
    assert [line.count("|") for line in lines] == [14] * 6
    assert lines[3].startswith("| RetainMix | 2 | 61.2 | 66.2 | 73.2 | 63.2 |")
    assert lines[3].endswith("| 65.2 | 68.2 |")
    assert lines[2].startswith("| Log-mel mean | - |")


def test_machine_table_has_a_row_per_subset_and_machine_type(results):
    lines = machine_table(model_row(results), results["protocol"]).splitlines()
    assert len(lines) == 2 + 3 * 2
    assert lines[2] == "| Factory A | pump | 60.2 | 65.2 | 72.2 |"


def test_protocol_sentence_tells_unequal_clip_counts_and_reused_noise(results):
    sentence = protocol_sentence(results["protocol"])
    assert "2 machine types" in sentence and "110 references, 76 to 80 tests" in sentence
    assert "no noise segment used twice" in sentence
    results["protocol"]["noise_segments_reused"] = 12
    assert "12 noise segments used more than once" in protocol_sentence(results["protocol"])


@pytest.mark.parametrize(
    ("rules", "score"),
    [(2020, "arithmetic mean of AUC and pAUC"), (2021, "harmonic mean of AUC and pAUC of each domain")],
)
def test_protocol_sentence_tells_the_score_of_earlier_years_and_counts_sections(results, rules, score):
    protocol = results["protocol"]
    counts = next(iter(protocol["clips"].values()))
    sentence = protocol_sentence(protocol | {"rules": rules, "clips": {"fan/00": counts, "fan/02": counts}})
    assert f"({score} over 2 sections)" in sentence and "per section 110 references" in sentence
