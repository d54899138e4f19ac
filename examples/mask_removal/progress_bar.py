"""A progress bar beside lines of output, where there is a terminal to draw it on and tqdm to draw it."""

import sys
from types import TracebackType
from typing import Any

try:
    from tqdm import tqdm
except ImportError:  # the extra [faces] does without; the lines tell as much
    tqdm = None


class Progress:
    """Lines go to stdout and errors to stderr, above the bar."""

    def __init__(self, total: int, *, unit: str) -> None:
        self._bar: Any = None
        if tqdm is not None and total > 1:
            self._bar = tqdm(total=total, unit=unit, leave=False, disable=None)  # None: only on a terminal

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self) -> None:
        """One more is done."""
        if self._bar is not None:
            self._bar.update()

    def line(self, text: str) -> None:
        """Print a line, at once: it may be read by another program."""
        self._print(text, sys.stdout)

    def error(self, text: str) -> None:
        """Print a line to stderr."""
        self._print(text, sys.stderr)

    def _print(self, text: str, file: Any) -> None:
        # A file's name may hold bytes that are no letters in the terminal's encoding.
        encoding = getattr(file, "encoding", None) or "utf-8"
        text = text.encode(encoding, "backslashreplace").decode(encoding)
        if self._bar is not None:
            with self._bar.external_write_mode(file=file):
                print(text, file=file, flush=True)
        else:
            print(text, file=file, flush=True)
