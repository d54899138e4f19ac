"""MediaPipe's log, kept from the terminal without losing what others say."""

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

lock = threading.RLock()  # an object may die in the thread that is about to fork
# The lines of its libraries name a place in C++, or come before or beside their log.
_LOGGED = re.compile(rb".*\w\.cc:\d+\]|WARNING: (All log messages|Logging) before |INFO: Created TensorFlow Lite ")


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep back what MediaPipe's C++ code writes to file descriptor 2, out of reach of ``sys.stderr``.

    The descriptor is the whole process's: what other threads write meanwhile is passed on at the end.
    """
    with lock:  # two threads at once would save each other's redirection
        try:
            saved = os.dup(2)
        except OSError:  # closed already, as by `2>&-`
            saved = None
        if saved is None:
            yield
            return
        kept = _memory()
        try:
            os.dup2(kept, 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.lseek(kept, 0, os.SEEK_SET)
            for line in os.read(kept, os.fstat(kept).st_size).splitlines(keepends=True):
                if not _LOGGED.match(line):
                    os.write(2, line)
            os.close(kept)


def _memory() -> int:
    """The descriptor of a file that is on no disk, where there are such, and in no folder."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("stderr")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
