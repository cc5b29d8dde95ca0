"""The service and the container call `retainmix watch` with options that it has."""

import configparser
import json
import re
import shlex
from pathlib import Path

from typer.main import get_command

from retainmix_cli import exit_codes
from retainmix_cli.app import app

WATCH = Path(__file__).parents[2] / "examples" / "watch"


def parsed(arguments):
    """The parameters of the command, parsed without running it; a wrong option raises an error."""
    command = get_command(app).commands["watch"]
    return command.make_context("watch", arguments).params


def test_the_unit_starts_a_watch_whose_statuses_it_knows():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(WATCH / "retainmix-watch.service")
    service = unit["Service"]
    program, name, *arguments = shlex.split(service["ExecStart"])
    assert Path(program).name == "retainmix" and name == "watch"
    options = parsed(arguments)
    written = Path("/var/lib") / service["StateDirectory"]
    assert all(options[key].is_relative_to(written) for key in ("state", "trend", "detector"))
    assert int(service["SuccessExitStatus"]) == exit_codes.TERMINATED
    assert int(service["RestartPreventExitStatus"]) == exit_codes.WRONG_USAGE


def test_the_container_starts_a_watch_with_the_options_that_its_head_gives():
    text = (WATCH / "Dockerfile").read_text()
    program, name, *arguments = json.loads(re.search(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[1])
    assert (program, name) == ("retainmix", "watch")
    (added,) = re.findall(r"^# +retainmix-watch (.*)$", text, re.MULTILINE)
    options = parsed([*arguments, *shlex.split(added)])
    assert options["state"] == Path("/state") and options["mqtt"] == ["broker.local/pump/7"]
    for source in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE):
        assert all((WATCH.parents[1] / part).exists() for part in source.split())
