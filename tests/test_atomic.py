"""Folders of a cache: whole or absent, and no rest of a killed process stays."""

import multiprocessing
import os

import pytest

from modeling_retainmix.atomic import whole_folder


def make(folder, content="whole"):
    with whole_folder(folder) as temporary:
        (temporary / "table").write_text(content)


def test_when_block_ends_then_folder_is_in_its_place(tmp_path):
    make(tmp_path / "cache" / "made")
    assert (tmp_path / "cache" / "made" / "table").read_text() == "whole"
    assert os.listdir(tmp_path / "cache") == ["made"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_when_block_is_interrupted_then_nothing_is_left(tmp_path, interruption):
    with pytest.raises(interruption), whole_folder(tmp_path / "made") as temporary:
        (temporary / "table").touch()
        raise interruption
    assert os.listdir(tmp_path) == []


def test_when_another_process_was_faster_then_its_folder_stands(tmp_path):
    with whole_folder(tmp_path / "made") as temporary:
        (temporary / "table").write_text("late")
        make(tmp_path / "made", "first")
    assert (tmp_path / "made" / "table").read_text() == "first"
    assert os.listdir(tmp_path) == ["made"]


def be_killed(folder):
    with whole_folder(folder) as temporary:
        (temporary / "table").touch()
        os._exit(9)  # as a signal that cannot be caught: no clean-up runs


def test_when_a_process_was_killed_then_the_next_removes_what_it_left_and_not_what_others_make(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=be_killed, args=(tmp_path / "made",))
    process.start()
    process.join()
    assert process.exitcode == 9
    (left,) = tmp_path.iterdir()
    with whole_folder(tmp_path / "other") as temporary:
        assert not left.exists()
        make(tmp_path / "made")
        assert temporary.is_dir()
    assert sorted(os.listdir(tmp_path)) == ["made", "other"]
