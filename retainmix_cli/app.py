"""The console script: commands, and how each of them ends."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.main import get_command

from retainmix_cli import exit_codes
from retainmix_cli.commands.confirm import confirm, undo
from retainmix_cli.commands.convert import average, convert, export
from retainmix_cli.commands.doctor import doctor
from retainmix_cli.commands.evaluate import evaluate
from retainmix_cli.commands.explain import explain
from retainmix_cli.commands.fit import fit
from retainmix_cli.commands.metric import metric
from retainmix_cli.commands.push import push
from retainmix_cli.commands.report import report
from retainmix_cli.commands.reproduce import reproduce, studies, tables
from retainmix_cli.commands.score import score
from retainmix_cli.commands.submit import submit
from retainmix_cli.commands.train import pretrain, train
from retainmix_cli.commands.watch import watch
from retainmix_cli.output import say, say_error, silence_libraries, warnings_in_one_line
from retainmix_cli.passing_on import PASS_ON
from retainmix_cli.signals import terminable

UsageError: Any = typer.BadParameter.__base__  # of click, or of the copy of it that newer versions of typer hold
# What a user can cause and mend: told in one line. Anything else is our fault and keeps its traceback.
USER_ERRORS = (ValueError, OSError, ImportError)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback(invoke_without_command=True)
def options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Find anomalous machine sounds.

    Exit status: 0 normal, 1 anomalies found, 2 something failed, 3 wrong usage, 130 after Ctrl-C, 143 after SIGTERM.
    """
    if show_version:
        print(f"retainmix {version('retainmix')}")
        raise typer.Exit


COMMANDS: tuple[Callable[..., Any], ...] = (
    *(fit, score, report, explain, watch, confirm, undo),
    *(evaluate, submit, convert, average, export, push, tables, doctor),
)
for command in COMMANDS:
    app.command()(command)
for passing_on in (train, pretrain, reproduce, studies):
    app.command(context_settings=PASS_ON)(passing_on)
app.add_typer(metric, name="metric")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Args:
        arguments: without the name of the program; None: those of the process.
    """
    group = get_command(app)
    given = sys.argv[1:] if arguments is None else list(arguments)
    with warnings_in_one_line():
        try:
            with group.make_context("retainmix", given) as context:
                status = group.invoke(context)
            sys.stdout.flush()  # a full disk shows here
        except typer.Exit as ended:
            status = ended.exit_code
        except UsageError as error:
            error.show()
            return exit_codes.WRONG_USAGE
        except KeyboardInterrupt as error:
            return _stopped(error)
        except BrokenPipeError:  # as of `| head`: whoever read the results has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return exit_codes.FAILED
        except USER_ERRORS as error:
            say_error(str(error) or type(error).__name__)
            return exit_codes.FAILED
        except Exception:
            traceback.print_exc()  # Python's own status would be 1, which says "anomalies found"
            return exit_codes.FAILED
    return status or exit_codes.NORMAL


def main() -> None:
    """Run the command of the command line and exit with its status."""
    silence_libraries()
    with terminable():
        sys.exit(run())


def _stopped(error: KeyboardInterrupt) -> int:
    """Say what is kept and how to go on, which the notes of the exception tell; see `signals.when_stopped`."""
    advice = getattr(error, "__notes__", None) or ["run the same command again"]
    say(f"{str(error) or 'stopped by Ctrl-C'}: {'; '.join(advice)}")
    return getattr(error, "status", exit_codes.INTERRUPTED)
