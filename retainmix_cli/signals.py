"""Ctrl-C and SIGTERM: both unwind the command as an exception, which notes what is kept and how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from retainmix_cli import exit_codes


class Terminated(KeyboardInterrupt):
    """SIGTERM; like Ctrl-C it is not an Exception, so that nothing takes it for the fault of one recording."""

    status = exit_codes.TERMINATED


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` on the first SIGTERM in the block; a second one ends the process at once."""

    def receive(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated("stopped by SIGTERM")

    before = signal.signal(signal.SIGTERM, receive)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def when_stopped(advice: str) -> Iterator[None]:
    """Say, where the block is stopped, what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        error.add_note(advice)
        raise
