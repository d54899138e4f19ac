"""One trainer to a run: two would write each other's log and remove each other's checkpoints."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from examples.mask_removal.distributed import Ranks

LOCK_FILE = ".lock"
_PATIENCE = 5.0
"""Seconds in which a rank of before a restart has to be gone."""


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
    try:
        with FileLock(run / LOCK_FILE, timeout=_PATIENCE):
            yield
    except Timeout as error:
        raise ValueError(
            f"{run}: another process is training into this folder. Wait for its end, stop it, or choose another "
            "--output."
        ) from error
