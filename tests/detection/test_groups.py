"""Sessions of recordings, in every form that they are given in."""

import numpy as np
import pytest
import torch

from modeling_retainmix.detection.groups import describe_one_session, recording_groups, unit_index

NAMES = ["data/day1/fan_a.wav", "data/day1/fan_b.wav", "data/day2/fan_a.wav"]


@pytest.mark.parametrize(
    "groups",
    [
        ["day1", "day1", "day2"],
        np.asarray(["day1", "day1", "day2"]),
        "folder",
        "(day[0-9])/",
        {"day1/fan_a.wav": "day1", "fan_b.wav": "day1", "data/day2/fan_a.wav": "day2"},
    ],
)
def test_every_form_gives_the_group_of_each_recording(groups):
    assert recording_groups(NAMES, groups) == ["day1", "day1", "day2"]


def test_without_groups_each_recording_has_none_and_numbers_are_names():
    assert recording_groups(NAMES) == [None] * 3
    assert recording_groups(NAMES, torch.tensor([3, 3, 4])) == ["3", "3", "4"]
    assert recording_groups(NAMES, [None, "a", "a"]) == [None, "a", "a"]


def test_an_expression_is_searched_in_the_file_name_alone_unless_it_holds_a_slash():
    assert recording_groups(NAMES, "_([ab])") == ["a", "b", "a"]
    with pytest.raises(ValueError, match=r"data/day1/fan_a\.wav does not match groups="):
        recording_groups(NAMES, "(day[0-9])")


def test_a_column_of_a_csv_file_names_the_groups(tmp_path):
    table = tmp_path / "sessions.csv"
    table.write_text("file,machine,session\nday1/fan_a.wav,1,x\nfan_b.wav,1,x\nday2/fan_a.wav,2,y\n")
    assert recording_groups(NAMES, f"{table}:session") == ["x", "x", "y"]
    with pytest.raises(ValueError, match="has no column 'file' behind its first"):
        recording_groups(NAMES, f"{table}:file")
    table.write_text("file,session\nfan_b.wav,x\n")
    with pytest.raises(ValueError, match=r"data/day1/fan_a\.wav has no group in .*sessions\.csv:session: add it"):
        recording_groups(NAMES, f"{table}:session")
    table.write_text("file,session\nfan_a.wav,\n")
    with pytest.raises(ValueError, match=r"line 2: fan_a\.wav has no session"):
        recording_groups(NAMES, f"{table}:session")
    table.write_text("file,session\nfan_a.wav,x\nfan_a.wav,y\n")
    with pytest.raises(ValueError, match=r"line 3: fan_a\.wav comes twice, as x and y"):
        recording_groups(NAMES, f"{table}:session")
    with pytest.raises(FileNotFoundError, match=r"none\.csv does not exist"):
        recording_groups(NAMES, "none.csv:session")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a"], "1 groups for 3 recordings"),
        (np.zeros((3, 2)), r"groups have shape \[3, 2\]"),
        (
            "day",
            r"groups='day' \(--sessions\) has no parentheses: put one pair .* as in 'rec \(\[0-9\]\+\)-', or use 'fol",
        ),
        ("(d)ay([0-9])", r"has 2 pairs of parentheses: put one pair .* and \(\?: \) around other parts"),
        ("(day", "is not a valid regular expression"),
        ({"fan_a.wav": "x"}, "data/day1/fan_b.wav has no group in groups"),
    ],
)
def test_when_groups_do_not_fit_then_error_names_the_value(groups, message):
    with pytest.raises(ValueError, match=message):
        recording_groups(NAMES, groups)


def test_when_all_are_of_one_session_then_it_is_said_with_the_cure():
    text = describe_one_session(["train"] * 3, "folder")
    assert text.startswith(
        "all 3 references lie in one folder (train), so groups='folder' (--sessions folder) makes one"
    )
    assert "into a subfolder of its own" in text and "'rec ([0-9]+)-'" in text
    assert describe_one_session(["1", "1"], "_([0-9])").startswith(
        "all 2 references are of one session (1) by groups='_([0-9])'"
    )
    assert describe_one_session(["a", "a"], ["a", "a"]).startswith(
        "all 2 references are of one session (a) by groups= (--sessions)"
    )
    for others in (["a"], ["a", "b"], ["a", None], [None, None], []):
        assert describe_one_session(others, "folder") is None


def test_when_two_folders_have_one_name_then_error_says_how_to_tell_them_apart():
    with pytest.raises(ValueError, match="have the same name, so groups='folder' cannot tell them apart"):
        recording_groups(["day1/fan/a.wav", "day2/fan/a.wav"], "folder")


def test_units_join_groups_and_copies():
    # 0 and 3 are copies; 3 and 4 are of one session; 2 stands alone
    units = unit_index(np.asarray([0, 1, 2, 0, 4, 5]), [None, "a", None, "b", "b", "a"])
    assert units.tolist() == [0, 1, 2, 0, 0, 1]
    assert unit_index(np.zeros(0, dtype=np.int64), []).tolist() == []
