"""Checkpoints: the complete state of a run in one file that is there whole or not at all."""

import os
import sys
from pathlib import Path
from typing import Any

import torch

FILE = "checkpoint.pt"
PREVIOUS_FILE = "checkpoint-previous.pt"
DAMAGED_FILE = "checkpoint-damaged.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the state under a temporary name, flush it to disk, rename it; the checkpoint before stays as well."""
    temporary = folder / f"{FILE}.part"
    with temporary.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    if (folder / FILE).exists():
        (folder / FILE).replace(folder / PREVIOUS_FILE)
    temporary.replace(folder / FILE)
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)  # the rename itself must survive a power cut
    os.close(descriptor)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint, or the one before when the last cannot be read; ``None`` in a new run.

    A last one that cannot be read is renamed, or else the next save would put it in the place of the good one. Only
    tensors and plain values are loaded: a file with code in it is refused.

    Raises:
        ValueError: there are checkpoints, and none can be read.
    """
    problems = []
    for path in (folder / FILE, folder / PREVIOUS_FILE):
        if not path.is_file():
            continue
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises whatever its parts raise on damaged files
            problems.append(f"{path}: {(str(error).splitlines() or [type(error).__name__])[0]}")
            continue
        if problems:
            (folder / FILE).replace(folder / DAMAGED_FILE)
            print(f"{path}: taken, because the last checkpoint is damaged ({DAMAGED_FILE}).", file=sys.stderr)
        return state
    if problems:
        raise ValueError("no checkpoint can be read. Move them away to start anew. " + "; ".join(problems))
    return None
