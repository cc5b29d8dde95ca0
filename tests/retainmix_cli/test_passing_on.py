"""Programs of the package behind commands: their options, their ends, and signals."""

import argparse
import json
import signal
import sys

import pytest

from modeling_retainmix.evaluation.studies import thresholds
from retainmix_cli import passing_on
from retainmix_cli.app import run


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float)
    parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("main", "arguments", "status"),
    [
        (parse, ["--rate", "1"], 0),
        (parse, ["--rate", "high"], 3),
        (parse, ["--help"], 0),
        (lambda arguments: sys.exit("error: no such folder"), [], 2),
        (lambda arguments: sys.exit(1), [], 2),
        (lambda arguments: sys.exit(2), [], 2),
        (lambda arguments: sys.exit("error: some are not used by the HfArgumentParser: ['--x']"), [], 3),
    ],
)
def test_when_a_main_ends_then_its_kind_decides_the_status(main, arguments, status):
    assert passing_on.call_main(main, arguments) == status


class Process:
    """A process that ends with a status, or is interrupted while it runs."""

    pid = 4321

    def __init__(self, status):
        self._statuses = [status, 0]

    def wait(self):
        status = self._statuses.pop(0)
        if status is None:
            raise KeyboardInterrupt
        return status


@pytest.fixture
def launched(monkeypatch):
    """Commands that are launched, and signals that are sent; statuses of processes are put into the list."""
    commands, statuses, signals = [], [], []

    def popen(command, **options):
        commands.append(command)
        return Process(statuses.pop(0))

    monkeypatch.setattr(passing_on.subprocess, "Popen", popen)
    monkeypatch.setattr(passing_on.os, "killpg", lambda pid, number: signals.append((pid, number)))
    return commands, statuses, signals


def test_when_training_runs_then_options_are_passed_on_and_its_end_is_told(launched, capsys):
    commands, statuses, signals = launched
    statuses += [0, 1, 1, None]
    options = ["--processes", "2", "--config", "demo", "--max_steps", "5"]
    assert run(["train", *options]) == 0
    start = commands[0].index("--num_processes")
    module = ["-m", "modeling_retainmix.training.main"]
    assert commands[0][start:] == ["--num_processes", "2", "--multi_gpu", *module, *options[2:]]
    assert run(["train", "--config", "absent.yaml"]) == 2
    assert run(["train", "--nonsense", "1"]) == 3
    assert run(["pretrain", "--output_dir", "x"]) == 130
    assert signals == [(4321, signal.SIGTERM)]
    assert "--resume_from_checkpoint True goes on from the last one" in capsys.readouterr().err.splitlines()[-1]
    for option in (["--do_train", "False"], ["--do_train=no"]):
        statuses.append(None)
        assert run(["train", "--model", "x", *option]) == 130
        assert "at the end alone; start the same command again" in capsys.readouterr().err.splitlines()[-1]


def test_when_json_is_asked_for_then_it_is_all_that_standard_output_has(launched, tmp_path, capsys):
    commands, statuses, _ = launched
    statuses += [0, 0]
    (tmp_path / "results.json").write_text('{"rows": [{"key": "trained", "all": 61.0}]}')
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 7.0}\n{"step": 2, "probe_score": 70.0}\n')
    assert run(["train", "--json", "--output_dir", str(tmp_path)]) == 0
    assert run(["pretrain", "--json", "--output_dir", str(tmp_path)]) == 0
    trained, pretrained = map(json.loads, capsys.readouterr().out.splitlines())
    assert trained == {"output_dir": str(tmp_path), "rows": [{"key": "trained", "all": 61.0}]}
    assert pretrained == {"output_dir": str(tmp_path), "step": 2, "loss": 7.0, "probe_score": 70.0}
    assert not any("--json" in command for command in commands)


def test_when_a_study_is_run_then_it_gets_its_options_and_unknown_ones_are_refused(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(thresholds, "main", calls.append)
    assert run(["studies", "thresholds", "--model", "log-mel"]) == 0
    assert calls == [["--model", "log-mel"]]
    assert run(["studies", "threshold"]) == 3
    assert "use one of backends, " in " ".join(capsys.readouterr().err.split())


def test_when_there_are_no_rows_then_tables_end_in_an_error(tmp_path, capsys):
    assert run(["tables", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
