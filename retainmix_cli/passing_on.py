"""Commands that pass their options on to a program of the package, and what its ends mean here."""

import argparse
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from retainmix_cli import exit_codes
from retainmix_cli.output import chatty_environment, say, show

# Of the parser of transformers, which takes an option that does not exist for a value that is not valid.
_UNKNOWN_OPTION = "are not used by the HfArgumentParser"

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def call_main(main: Callable[[Sequence[str]], Any], arguments: Sequence[str]) -> int:
    """Call a `main` of the package and return the exit status of the command.

    Args:
        main: takes its options; `sys.exit` of it with a text is an error, as a status other than 0 is.
        arguments: the options.
    """
    try:
        main(arguments)
    except SystemExit as ended:
        if ended.code is None or ended.code == 0:
            return exit_codes.NORMAL
        if isinstance(ended.code, str):
            say(ended.code)
        is_usage = _is_of_argparse(ended) or _UNKNOWN_OPTION in str(ended.code)
        return exit_codes.WRONG_USAGE if is_usage else exit_codes.FAILED
    return exit_codes.NORMAL


def launch(
    module: str,
    parse: Callable[[Sequence[str]], Any],
    arguments: Sequence[str],
    processes: int | None,
    record: Callable[[Path], Mapping[str, Any]] | None = None,
) -> int:
    """Run a training module by `accelerate launch`, and return the exit status of the command.

    Args:
        module: to run as a program.
        parse: its parser, imported only when the program has ended: it tells wrong usage from other failures, and the
            output folder.
        arguments: its options.
        processes: that share the work; None: what the configuration of accelerate says, one without any.
        record: makes of the output folder what is printed as a line of JSON at the end; what the program prints goes
            to standard error then. None: its results are for people.
    """
    several = [] if processes is None else ["--num_processes", str(processes)]
    if processes is not None and processes > 1:
        several.append("--multi_gpu")  # on CPUs too: `--cpu` would run one process
    command = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", *several, "-m", module, *arguments]
    # In a session of its own, so that one signal ends the launcher and all processes of the training.
    stdout = None if record is None else 2  # standard error
    process = subprocess.Popen(command, env=chatty_environment(), start_new_session=True, stdout=stdout)
    try:
        status = process.wait()
    except KeyboardInterrupt:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if status == 0:
        if record is not None:
            folder = Path(parse(arguments)[1].output_dir)
            show({"output_dir": str(folder), **record(folder)}, "", True)
        return exit_codes.NORMAL
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        try:
            parse(arguments)
        except SystemExit as ended:
            return exit_codes.WRONG_USAGE if _is_of_argparse(ended) else exit_codes.FAILED
        except Exception as error:  # the program has said it
            return exit_codes.WRONG_USAGE if _UNKNOWN_OPTION in str(error) else exit_codes.FAILED
    return exit_codes.FAILED


def _is_of_argparse(ended: SystemExit) -> bool:
    """Whether the parser ended the program, which then has printed its usage."""
    return traceback.extract_tb(ended.__traceback__)[-1].filename == argparse.__file__
