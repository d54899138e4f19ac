"""Checkpoints: the complete state of a run in one file that is there whole or not at all.

A checkpoint is two files in the run's folder ``checkpoints``::

    step-00000250.pt       the state, for ``torch.load(weights_only=True)``
    step-00000250.sha256   its checksum, as ``sha256sum --check`` reads it

Both are written under other names and flushed; then the checksum gets its name, and at last the state. So there is a
checkpoint as soon as, and only if, the state has its name: a process killed in between or a full disk leave none, a
flipped bit or a lost checksum one that is passed over, and the checkpoint before serves. What has that name is never
removed but for newer ones.
"""

import contextlib
import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch

FOLDER = "checkpoints"
_NO_MORE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def save_checkpoint(folder: Path, state: dict[str, Any], *, keep: int = 2, best: int | None = None) -> Path:
    """Write ``state``, of which ``state["step"]`` names the file, then remove all but the last ones and the best.

    Args:
        folder: of the run.
        state: tensors, numbers, strings, and lists, tuples and dicts of them.
        keep: how many of the last ones stay.
        best: the step of another one to keep.

    Raises:
        OSError: it cannot be written, for example because the disk is full; those that are there stay.
    """
    path = folder / FOLDER / f"step-{state['step']:08d}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_unfinished(path.parent)
    path.unlink(missing_ok=True)  # a run that goes back to this step writes it anew
    _write(path, state)
    for step in steps_of(folder)[:-keep]:
        if step != best:
            old = path.with_name(f"step-{step:08d}.pt")
            old.unlink()
            _checksum_file(old).unlink(missing_ok=True)
    return path


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in one file. Only tensors and plain values are loaded: a file with code in it is refused.

    Raises:
        ValueError: the checksum is missing or another, or the file holds something else.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        expected = _checksum_file(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{error.filename or path}: cannot be read: {error.strerror}") from error
    if expected != _checksum_line(found, path):
        raise ValueError(f"{path}: damaged: its checksum is not that of {_checksum_file(path).name}")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its parts raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path}: not a checkpoint: {reason}") from error
    if not isinstance(state, dict) or not isinstance(state.get("step"), int):
        raise ValueError(f"{path}: not a checkpoint: expected a state with a step")
    return state


def load_last_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of the run that is whole, with a warning for each one passed over; ``None`` in a new run.

    Raises:
        ValueError: there are checkpoints, and none can be read.
    """
    problems = []
    for step in reversed(steps_of(folder)):
        try:
            state = load_checkpoint(folder / FOLDER / f"step-{step:08d}.pt")
        except ValueError as error:
            problems.append(str(error))
            continue
        for problem in problems:
            print(f"train: warning: {problem}; passed over for the one of step {step}.", file=sys.stderr)
        return state
    if problems:
        raise ValueError("no checkpoint can be read. Move them away to start anew. " + "; ".join(problems))
    return None


def set_aside_after(folder: Path, step: int) -> None:
    """Rename what claims to be later than ``step``, damaged or not, so that it is neither taken nor removed.

    Named ``.pt`` and ``.sha256`` again, it is a checkpoint again.
    """
    for later in steps_of(folder):
        if later > step:
            path = folder / FOLDER / f"step-{later:08d}.pt"
            path.replace(path.with_suffix(".aside"))
            checksum = _checksum_file(path)
            if checksum.exists():
                checksum.replace(checksum.with_suffix(".sha256.aside"))


@contextlib.contextmanager
def writing_a_run(folder: Path) -> Iterator[None]:
    """A disk that takes no more, whatever of the run was to be written, is told of as one that takes no checkpoint.

    Raises:
        OSError: as :func:`save_checkpoint`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_MORE:
            raise
        raise OSError(f"{folder}: cannot be written: {error.strerror}; {_last_good(folder)}.") from error


def steps_of(folder: Path) -> list[int]:
    """The steps of the run's checkpoints, ascending, whether or not they can be read."""
    return sorted(int(path.stem.removeprefix("step-")) for path in (folder / FOLDER).glob(f"step-{8 * '[0-9]'}.pt"))


def _write(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".pt.part")
    try:
        with part.open("wb") as file:
            hashing = _HashingWriter(file)
            try:
                torch.save(state, hashing)
            except RuntimeError as error:  # PyTorch's form of what write() raised
                raise hashing.error or error from error
            _flush(file)
        checksum = path.with_suffix(".sha256.part")
        with checksum.open("wb") as file:
            file.write(_checksum_line(hashing.sha256.hexdigest(), path))
            _flush(file)
        checksum.replace(_checksum_file(path))
        _flush_folder(path.parent)  # the checksum's name must reach the disk before the state's
        part.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        _remove_unfinished(path.parent)
        raise OSError(f"{path}: cannot be written: {error.strerror}; {_last_good(path.parents[1])}.") from error


def _last_good(folder: Path) -> str:
    there = steps_of(folder)
    return f"the checkpoint of step {there[-1]} is the last good one" if there else "there is no checkpoint yet"


class _HashingWriter:
    """Hashes what is meant to be written, not what a bad disk gives back; remembers what went wrong."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def _remove_unfinished(folder: Path) -> None:
    for path in folder.glob("*.part"):
        path.unlink()
    for path in folder.glob("step-*.sha256"):
        if not path.with_suffix(".pt").exists():
            path.unlink()


def _checksum_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _checksum_line(digest: str, path: Path) -> bytes:
    return f"{digest}  {path.name}\n".encode()


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
