"""The console script: commands, and how each of them ends."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.main import get_command

from retainmix_cli import exit_codes
from retainmix_cli.commands.fit import fit
from retainmix_cli.output import say_error

UsageError: Any = typer.BadParameter.__base__  # of click, or of the copy of it that newer versions of typer hold
# What a user can cause and mend: told in one line. Anything else is our fault and keeps its traceback.
USER_ERRORS = (ValueError, OSError, ImportError)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Find anomalous machine sounds."""
    if show_version:
        print(f"retainmix {version('retainmix')}")
        raise typer.Exit


for command in (fit,):
    app.command()(command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    try:
        status = get_command(app).main(args=arguments, prog_name="retainmix", standalone_mode=False)
    except UsageError as error:
        error.show()
        return exit_codes.WRONG_USAGE
    except (typer.Abort, KeyboardInterrupt):
        return exit_codes.INTERRUPTED
    except USER_ERRORS as error:
        say_error(str(error))
        return exit_codes.FAILED
    return status or exit_codes.NORMAL


def main() -> None:
    """Run the command of the command line and exit with its status."""
    sys.exit(run())
