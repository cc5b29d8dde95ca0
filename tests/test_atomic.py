"""Files and folders are whole or absent, and nothing that a killed process left stays."""

import ast
import multiprocessing
import os
import platform
import time
from pathlib import Path

import psutil
import pytest

import modeling_retainmix
from modeling_retainmix.atomic import PREFIX, moved_into, replace_folder, whole_file, whole_folder


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


def test_when_files_are_moved_into_a_folder_then_others_stay_and_nothing_else_is_left(tmp_path):
    for content in ("first", "second"):
        with moved_into(tmp_path / "a" / "model") as temporary:
            (temporary / "weights").write_text(content)
            found = sorted(path.name for path in (tmp_path / "a").iterdir() if path.name == "model")
            assert found == ([] if content == "first" else ["model"])
        (tmp_path / "a" / "model" / "notes").write_text("mine")
    assert os.listdir(tmp_path / "a") == ["model"]
    files = {path.name: path.read_text() for path in (tmp_path / "a" / "model").iterdir()}
    assert files == {"weights": "second", "notes": "mine"}


@pytest.mark.parametrize("is_there", [False, True])
def test_when_moving_into_a_folder_is_interrupted_then_it_stays_as_it_was(tmp_path, is_there):
    if is_there:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "weights").write_text("former")
    with pytest.raises(OSError, match="full"), moved_into(tmp_path / "model") as temporary:
        (temporary / "weights").write_text("half")
        raise OSError("full")
    assert [path.read_text() for path in tmp_path.rglob("*") if path.is_file()] == ["former"] * is_there
    assert os.listdir(tmp_path) == ["model"] * is_there


def test_when_a_file_has_the_name_of_the_folder_then_error_says_so_and_it_stays(tmp_path):
    (tmp_path / "model").write_text("mine")
    with (
        pytest.raises(NotADirectoryError, match="model is a file: give the name of a folder"),
        moved_into(tmp_path / "model"),
    ):
        pytest.fail("something was made")
    assert os.listdir(tmp_path) == ["model"] and (tmp_path / "model").read_text() == "mine"


def test_when_two_processes_make_a_folder_then_the_last_ones_files_stand(tmp_path):
    with moved_into(tmp_path / "model") as temporary:
        (temporary / "weights").write_text("last")
        with moved_into(tmp_path / "model") as other:
            (other / "weights").write_text("first")
            (other / "card").write_text("first")
    files = {path.name: path.read_text() for path in (tmp_path / "model").iterdir()}
    assert files == {"weights": "last", "card": "first"}


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


def left_behind(folder, node=None, started=None, age=0.0, suffix=""):
    """What a process of this id, on this machine or another one, left `age` seconds ago."""
    started = round(psutil.Process().create_time()) if started is None else started
    path = folder / f"{PREFIX}{node or platform.node()}-{os.getpid()}-{started}-{'0' * 32}{suffix}"
    path.write_bytes(b"part")
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.mark.parametrize("suffix", ["", ".json", ".tar.gz"])
def test_when_a_process_id_was_given_again_then_what_its_first_owner_left_is_removed(tmp_path, suffix):
    left = left_behind(tmp_path, started=1_000_000, suffix=suffix)
    with whole_file(tmp_path / "made") as temporary:
        temporary.write_text("whole")
    assert not left.exists()
    assert os.listdir(tmp_path) == ["made"]


def test_when_another_machine_is_at_work_then_its_part_stays_for_seven_days(tmp_path):
    young = left_behind(tmp_path, node="other", age=6 * 24 * 3600)
    old = left_behind(tmp_path, node="another", age=8 * 24 * 3600)
    with whole_file(tmp_path / "made") as temporary:
        temporary.write_text("whole")
    assert young.exists() and not old.exists()


def test_when_a_file_is_written_then_its_old_content_stays_until_the_end(tmp_path):
    file = tmp_path / "cache" / "results.json"
    for content in ("first", "second"):
        with whole_file(file) as temporary:
            temporary.write_text(content)
            assert not file.exists() or file.read_text() == "first"
    assert file.read_text() == "second"
    assert os.listdir(file.parent) == ["results.json"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_when_writing_is_interrupted_then_the_old_file_stays_and_nothing_else(tmp_path, interruption):
    (tmp_path / "results.json").write_text("old")
    with pytest.raises(interruption), whole_file(tmp_path / "results.json") as temporary:
        temporary.write_text("new")
        raise interruption
    assert (tmp_path / "results.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["results.json"]


def test_when_a_folder_is_replaced_then_no_file_of_the_old_one_stays(tmp_path):
    for content in ("first", "second"):
        finished = tmp_path / "staging" / "model"
        finished.mkdir(parents=True)
        (finished / content).touch()
        replace_folder(finished, tmp_path / "model")
        assert os.listdir(tmp_path / "model") == [content]
    assert sorted(os.listdir(tmp_path)) == ["model", "staging"]


def test_only_one_module_renames():
    """Whoever writes aside uses `atomic`; a second way would have a second rule for what is left behind."""
    package = Path(modeling_retainmix.__file__).parent
    renamers = {"rename", "renames", "replace", "move"}
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in renamers:
                # str.replace takes two arguments, and so does dataclasses.replace as a plain name
                is_os = isinstance(node.func.value, ast.Name) and node.func.value.id in ("os", "shutil")
                if is_os or (len(node.args) == 1 and not node.keywords and node.func.attr != "move"):
                    found.add(path.relative_to(package).as_posix())
    # the second runs without the package; the partial file of the third has to survive a kill
    assert found == {"atomic.py", "hub/metric_space.py", "stoppable_csv.py"}
