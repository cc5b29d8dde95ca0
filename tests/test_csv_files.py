"""CSV files: what is written is read back, and errors name the file."""

import csv

import numpy as np
import pytest

from modeling_retainmix.csv_files import read_records, read_rows, read_text, write_records, write_rows


def test_records_are_written_under_a_header_with_plain_line_ends(tmp_path):
    write_records(tmp_path / "a.csv", [{"system": "a, b", "score": 51.2}, {"system": "c", "score": ""}])
    assert (tmp_path / "a.csv").read_bytes() == b'system,score\n"a, b",51.2\nc,\n'
    write_records(tmp_path / "a.csv", [], columns=["x", "y"])
    assert (tmp_path / "a.csv").read_bytes() == b"x,y\n"


def test_when_a_record_has_a_column_that_the_header_lacks_then_error_names_it(tmp_path):
    with pytest.raises(ValueError, match="'b'"):
        write_records(tmp_path / "a.csv", [{"a": 1}, {"b": 2}])


def test_rows_are_read_back_with_every_digit_and_the_number_of_their_line(tmp_path):
    rows = [("a.wav", np.float64(0.1) + np.float64(0.2)), ('b "c",\nd.wav', 1e-300)]
    write_rows(tmp_path / "a.csv", rows)
    read = read_rows(tmp_path / "a.csv")
    assert [(row[0], float(row[1])) for _, row in read] == rows
    assert [line for line, _ in read] == [1, 3]


def test_empty_lines_and_a_byte_order_mark_are_left_out(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa,1\r\n\r\nb,2\r\n")
    assert read_rows(tmp_path / "a.csv") == [(1, ["a", "1"]), (3, ["b", "2"])]


def test_when_a_cell_is_longer_than_the_reader_takes_then_error_names_file_and_line(tmp_path):
    (tmp_path / "a.csv").write_text(f"a,1\nb,{'9' * (csv.field_size_limit() + 1)}\n")
    with pytest.raises(ValueError, match=r"a\.csv, line 2: field larger"):
        read_rows(tmp_path / "a.csv")


def test_when_text_is_missing_or_in_another_encoding_then_error_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.csv does not exist"):
        read_text(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes("ä,1".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.csv is not in UTF-8"):
        read_text(tmp_path / "a.csv")


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def test_when_commas_are_followed_by_spaces_then_names_and_cells_have_none(tmp_path):
    columns, records = read_records(
        write(tmp_path / "a.csv", '\ufefffile_name, machine_type ,"x"\r\n\r\na.wav, fan,"1, 2"\r\n')
    )
    assert columns == ["file_name", "machine_type", "x"]
    assert records == [(3, {"file_name": "a.wav", "machine_type": "fan", "x": "1, 2"})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n" + "x" * 131_073 + ",1\n", r"a\.csv, line 2: field larger than field limit"),
        ('a,b\n1,"2\n3,4\n', r"a\.csv, line 3: unexpected end of data"),
        ('a,b\n1,"2"3\n', r"a\.csv, line 2: .* expected after"),
        ("a,b\n1,0,5\n", r"a\.csv, line 2: 3 cells, but the header names 2 columns"),
        ("a,b\n1\n", r"a\.csv, line 2: 1 cells, but the header names 2"),
        ("a, a\n1,2\n", r"a\.csv has the column 'a' twice"),
    ],
)
def test_when_the_file_is_not_a_table_then_error_names_file_and_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_records(write(tmp_path / "a.csv", text))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp437"])
def test_when_the_encoding_is_another_then_error_names_the_file(tmp_path, encoding):
    with pytest.raises(ValueError, match=r"a\.csv is not in UTF-8: save it in that encoding"):
        read_rows(write(tmp_path / "a.csv", "a.wav,fräse\n", encoding))


def test_when_the_file_is_missing_or_empty_then_that_is_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.csv does not exist"):
        read_rows(tmp_path / "a.csv")
    assert read_rows(write(tmp_path / "a.csv", "\n")) == []
    assert read_records(tmp_path / "a.csv") == ([], [])


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_when_columns_are_separated_by_another_sign_then_error_names_it(tmp_path, sign, name):
    (tmp_path / "table.csv").write_text(f"file_name{sign}label\na.wav{sign}normal\n")
    with pytest.raises(ValueError, match=rf"table\.csv separates its columns by {name}: save it with commas"):
        read_records(tmp_path / "table.csv")


def test_when_a_table_holds_a_null_byte_then_error_names_file_and_line(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"file_name,label\na.wav\0,normal\n")
    with pytest.raises(ValueError, match=r"table\.csv, line 2 holds a null byte"):
        read_records(tmp_path / "table.csv")
