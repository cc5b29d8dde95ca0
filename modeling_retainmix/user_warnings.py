"""Warnings that name the line of the user's code, however deep in the package their cause is found."""

import sys
import warnings
from pathlib import Path

_PACKAGE = str(Path(__file__).resolve().parent)


def warn(message: str) -> None:
    """Issue a `UserWarning` at the line that called the package.

    Frames of other libraries in between, such as those of cached properties and torch's decorators, are passed over.
    """
    frame, depth, outermost = sys._getframe().f_back, 1, 1
    while frame is not None:
        depth += 1
        if frame.f_code.co_filename.startswith(_PACKAGE):
            outermost = depth
        frame = frame.f_back
    warnings.warn(message, UserWarning, stacklevel=outermost + 1)
