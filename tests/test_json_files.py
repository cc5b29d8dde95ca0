"""JSON files: errors name the file, whatever is in it."""

import pytest

from modeling_retainmix.json_files import MAX_DEPTH, read_json


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "is not valid JSON"),
        (b"", "is not valid JSON"),
        (b"\xff\xfe{\x00", "is not in UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested too deeply"),
        (b'["\\ud800"]', "half of a surrogate pair"),
        (b"[" + b"9" * 5000 + b"]", "is not valid JSON"),
    ],
)
def test_when_a_file_is_broken_then_error_names_it(tmp_path, content, problem):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.json.*{problem}") as error:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(error.value)


def test_what_is_nested_as_deeply_as_allowed_is_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    assert isinstance(read_json(tmp_path / "a.json"), list)


def test_when_there_is_no_file_then_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.json does not exist"):
        read_json(tmp_path / "a.json")
