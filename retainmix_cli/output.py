"""What commands print: results on standard output, everything else on standard error, so that pipes stay clean."""

import sys


def say(message: str) -> None:
    """Print what the command is doing, at once."""
    print(message, file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    """Print why something failed."""
    say(f"error: {message}")
