"""One writer to a folder: two trainers would write each other's log and remove each other's checkpoints, and two of
``prepare.py`` each other's shards."""

import contextlib
import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from examples.mask_removal.distributed import Ranks

LOCK_FILE = ".lock"
_PATIENCE = 5.0
"""Seconds in which a rank of before a restart has to be gone."""
_PATIENCE_AFTER_RESTART = 120.0
"""... and in which a file server has to notice that its whole machine is: NFS lets go of what it held after 90."""
_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems answer that know no locks, as Lustre and NFS may be set up."""


@contextlib.contextmanager
def only_trainer(run: Path, ranks: Ranks) -> Iterator[None]:
    """Hold a run while this context is open; the first rank does for all. The system lets go of it for who dies.

    Raises:
        ValueError: another process trains into the same folder.
    """
    if not ranks.is_first:
        yield
        return
    run.mkdir(parents=True, exist_ok=True)
    busy = (
        f"{run}: another process is training into this folder. Wait for its end, stop it, or choose another --output."
    )
    with held(run / LOCK_FILE, busy=busy):
        yield


@contextlib.contextmanager
def held(path: Path, *, busy: str) -> Iterator[None]:
    """Hold a lock file while this context is open, with a warning where the file system knows no locks.

    Args:
        path: of the file, which stays.
        busy: what to say when another process holds it.

    Raises:
        ValueError: ``busy``.
    """
    restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    end = time.monotonic() + (_PATIENCE_AFTER_RESTART if restarted else _PATIENCE)
    with path.open("a") as file:
        while not _locked(file):
            if time.monotonic() >= end:
                raise ValueError(busy)
            time.sleep(0.1)
        yield


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        print(
            f"warning: {file.name}: the file system knows no locks ({error.strerror}): see to it that no second "
            "command writes into this folder.",
            file=sys.stderr,
        )
    return True
