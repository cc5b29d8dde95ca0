"""Challenge CSV files are read; a broken row or name is named."""

from pathlib import Path

import pytest

from modeling_retainmix.data.layouts.challenge_csv import read_ground_truth, read_table, read_tables


def append(path: Path, *cells: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(",".join(cells) + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.wav,1\nb.wav\n", "line 2: 'b.wav' is not"),
        ("a.wav,nan\n", "line 1: 'a.wav,nan' is not"),
        ("a.wav,high\n", "line 1: 'a.wav,high' is not"),
        ("a.wav,0,75\n", "line 1: 'a.wav,0,75' is not `file name,number`: write the number with a decimal point"),
        ("a.wav,1,\n", "line 1: 'a.wav,1,' is not"),
        ("a.wav,1_000\n", "line 1: 'a.wav,1_000' is not"),
        ("a.wav,1e999\n", "line 1: 'a.wav,1e999' is not"),
        ("a.wav;0.75\n", "line 1: 'a.wav;0.75' is not"),
        ("a.wav,\u0663\n", "line 1: 'a.wav,\u0663' is not"),
        ("a.wav,1\n\na.wav,2\n", r"line 3: a\.wav comes twice"),
    ],
)
def test_when_a_row_is_broken_then_error_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"scores\.csv, {message}"):
        read_table(path)


@pytest.mark.parametrize(("text", "value"), [("0.75", 0.75), (" -1e-3", -1e-3), ("+2.", 2.0), (".5", 0.5), ("7", 7.0)])
def test_numbers_are_read_as_they_are_written(tmp_path, text, value):
    (tmp_path / "scores.csv").write_text(f"a.wav,{text}\n")
    assert read_table(tmp_path / "scores.csv") == {"a.wav": value}


def test_when_a_table_is_not_in_utf_8_then_error_names_the_file(tmp_path):
    (tmp_path / "scores.csv").write_bytes("ä.wav,1\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"scores\.csv is not in UTF-8"):
        read_table(tmp_path / "scores.csv")


def test_when_a_file_name_breaks_the_rule_of_the_year_then_error_shows_the_rule(tmp_path):
    (tmp_path / "anomaly_score_fan_section_03_test.csv").write_text("a.wav,1\n")
    with pytest.raises(
        ValueError, match=r"rule of 2021: anomaly_score_<machine type>_section_<NN>_<domain>_test\.csv"
    ):
        read_tables(tmp_path, "anomaly_score", 2021)
    with pytest.raises(FileNotFoundError, match=r"holds no decision_result_\*\.csv"):
        read_tables(tmp_path, "decision_result", 2023)


def test_windows_line_ends_and_a_missing_domain_in_the_ground_truth(tmp_path):
    name = "ground_truth_fan_section_00_test.csv"
    append(tmp_path / "ground_truth_data" / name, "section_00_0000.wav", "1\r")
    append(tmp_path / "ground_truth_domain" / name, "section_00_0001.wav", "0\r")
    with pytest.raises(ValueError, match=r"has no domain 0 or 1 for section_00_0000\.wav"):
        read_ground_truth(tmp_path, 2023)
    append(tmp_path / "ground_truth_domain" / name, "section_00_0000.wav", "1\r")
    assert [(clip["label"], clip["domain"]) for clip in read_ground_truth(tmp_path, 2023)] == [(1, "target")]
