"""How commands end: one line for a user's error, and a status of its own for each kind."""

import os
import signal
import subprocess
import sys
import warnings

import pytest

from retainmix_cli import app as frame
from retainmix_cli.app import run
from retainmix_cli.signals import Terminated, terminable, when_stopped

# Commands that end where torch is imported, with what they have printed by then.
_FIRST_LINES = """
import importlib.abc, io, subprocess, sys
from contextlib import redirect_stderr, redirect_stdout
from retainmix_cli.app import app, run
from typer.main import get_command


class TorchImported(BaseException):
    pass


class NoTorch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "modeling_retainmix"):
            raise TorchImported


def outcome(arguments):
    printed = io.StringIO()
    with redirect_stderr(printed), redirect_stdout(printed):
        try:
            return run(arguments), printed.getvalue()
        except TorchImported:
            return "imported", printed.getvalue()


sys.meta_path.insert(0, NoTorch())
def launched(*arguments, **options):
    raise TorchImported


subprocess.Popen = launched  # of a program that imports it


def visit(command, path):
    status, text = outcome([*path, "--help"])
    assert status == 0 and "Usage:" in text, (path, status, text)
    for name, inner in getattr(command, "commands", {}).items():
        visit(inner, [*path, name])
    if path and not hasattr(command, "commands"):
        needed = [p for p in command.params if p.required]
        value = "thresholds" if path == ["studies"] else "2025"
        values = [v for p in needed for v in ([] if p.param_type_name == "argument" else [p.opts[0]]) + [value]]
        status, text = outcome([*path, *values])
        assert status == "imported" and text.strip(), (path, status, text)
        print("begun:", *path)


visit(get_command(app), [])
"""


def test_when_help_or_the_first_line_of_any_command_is_printed_then_torch_is_not_imported(tmp_path):
    (tmp_path / "2025").mkdir()  # any value of `_FIRST_LINES` that is a place
    (tmp_path / "2025" / "detector.json").touch()
    command = [sys.executable, "-c", _FIRST_LINES]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert {"begun: fit", "begun: train", "begun: metric install"} <= set(result.stdout.splitlines())


def test_when_an_option_is_unknown_then_status_is_3_and_it_is_named(capsys):
    assert run(["fit", "folder", "--nonsense"]) == 3
    assert "--nonsense" in capsys.readouterr().err


def test_when_references_are_missing_then_status_is_2_and_one_line_names_them(tmp_path, capsys):
    assert run(["fit", str(tmp_path / "missing"), "--output", str(tmp_path / "detector")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ") and "missing" in last


@pytest.mark.parametrize("arguments", [["fit"], ["score"], ["report"], ["explain"], ["watch"]])
def test_when_a_place_does_not_exist_then_it_is_said_before_torch_is_imported(arguments, tmp_path):
    code = "import sys; sys.modules['torch'] = None; from retainmix_cli.app import run; sys.exit(run(sys.argv[1:]))"
    output = ["--output", str(tmp_path / "detector")] if arguments == ["fit"] else []
    command = [sys.executable, "-c", code, *arguments, "my recordings", *output]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: my recordings does not exist: check the path, and quote")


@pytest.mark.parametrize("rate", ["0", "1", "10", "ten", "nan"])
def test_when_the_rate_is_no_share_then_status_is_3_and_an_example_is_given(rate, tmp_path, capsys):
    assert run(["score", str(tmp_path), "--false-alarm-rate", rate]) == 3
    assert "is not between 0 and 1: write 0.1 for 10 %" in " ".join(capsys.readouterr().err.split())


def test_when_the_version_is_asked_for_then_status_is_0(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("retainmix ")


@pytest.fixture
def a_command(monkeypatch):
    """Put a function in the place of `fit`."""

    def put(function):
        def command():
            return function()

        app = frame.typer.Typer(add_completion=False)
        app.command("fit")(command)
        app.callback()(lambda: None)
        monkeypatch.setattr(frame, "app", app)

    return put


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("a.wav is\n  silent"), 2, "error: a.wav is silent"),
        (OSError("disk full"), 2, "error: disk full"),
        (ImportError("needs matplotlib"), 2, "error: needs matplotlib"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C: run the same command again"),
        (Terminated("stopped by SIGTERM"), 143, "stopped by SIGTERM: run the same command again"),
        (ZeroDivisionError("ours"), 2, "ZeroDivisionError: ours"),
    ],
)
def test_when_a_command_raises_then_its_kind_decides_the_status(a_command, capsys, error, status, line):
    def fail():
        raise error

    a_command(fail)
    assert run(["fit"]) == status
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == line and captured.out == ""
    assert ("Traceback" in captured.err) == isinstance(error, ZeroDivisionError)


def test_when_a_command_returns_a_status_then_run_returns_it(a_command):
    a_command(lambda: 1)
    assert run(["fit"]) == 1


def test_when_sigterm_comes_then_the_advice_is_printed_and_the_handler_is_put_back(a_command, capsys):
    before = signal.getsignal(signal.SIGTERM)

    def work():
        with when_stopped("half is kept in x.partial"):
            os.kill(os.getpid(), signal.SIGTERM)

    a_command(work)
    with terminable():
        assert run(["fit"]) == 143
    assert capsys.readouterr().err == "stopped by SIGTERM: half is kept in x.partial\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_when_a_command_warns_then_it_is_one_line_and_libraries_are_silent(a_command, capsys):
    def warn():
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
        warnings.warn("old", FutureWarning, stacklevel=1)
        warnings.warn_explicit("theirs", UserWarning, "file.py", 1, module="torch.onnx")

    a_command(warn)
    assert run(["fit"]) == 0
    assert capsys.readouterr().err == "warning: two lines\n"
