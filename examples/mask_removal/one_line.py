"""Errors and warnings for a terminal: one line that says what is wrong and how to mend it, no traceback."""

import contextlib
import sys
import warnings
from collections.abc import Iterator

import cv2

EXPECTED = (ValueError, OSError, ImportError, MemoryError, RuntimeError, ArithmeticError, cv2.error)
"""What photos, files, options and machines cause; anything else is the program's own mistake and shows a traceback."""


def one_line(error: BaseException) -> str:
    """The error's message without line breaks."""
    if isinstance(error, MemoryError):
        return "not enough memory for a photo of this size. Shrink it first."
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def plain_warnings(command: str) -> Iterator[None]:
    """Within, a warning is one line on stderr, without the place in the source that gave it."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: print(f"{command}: warning: {message}", file=sys.stderr)
        yield
