"""CSV files are read with spaces and byte order marks; what is not CSV is named with file and line."""

import pytest

from modeling_retainmix.csv_files import read_records, read_rows


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
    with pytest.raises(ValueError, match=r"a\.csv is not in UTF-8: save it as UTF-8"):
        read_rows(write(tmp_path / "a.csv", "a.wav,fräse\n", encoding))


def test_when_the_file_is_missing_or_empty_then_that_is_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.csv does not exist"):
        read_rows(tmp_path / "a.csv")
    assert read_rows(write(tmp_path / "a.csv", "\n")) == []
    assert read_records(tmp_path / "a.csv") == ([], [])
