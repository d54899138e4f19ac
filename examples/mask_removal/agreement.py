"""Before a run begins: what every rank was given by its own command line and disk has to be the same, and the set that
of before."""

import json
import zlib
from pathlib import Path
from typing import Any

from examples.mask_removal.checkpoint import steps_of
from examples.mask_removal.config import Config
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.distributed import Ranks

SET_FILE = "data.json"


def agree(config: Config, training: FaceDataset, ranks: Ranks) -> None:
    """Each machine has a command line of its own and may have its own copy of the set: of other samples each rank would
    draw another order, some images would never be seen and others twice, and nothing would fail.

    Raises:
        ValueError: on every rank, when two of them differ in the configuration or in the set's index.
    """
    everywhere = ranks.gather((config.to_dict(), len(training), _checksum(training)))
    first = everywhere[0]
    for rank, other in enumerate(everywhere):
        if other[0] != first[0]:
            raise ValueError(
                f"rank {rank} has other settings than rank 0: {_difference(first[0], other[0])}. Give every machine "
                "the same command."
            )
        if other[1:] != first[1:]:
            raise ValueError(
                f"{training.root}: rank {rank} finds {other[1]} training samples (checksum {other[2]:08x}), rank 0 "
                f"{first[1]} ({first[2]:08x}). Give every machine a complete copy of the same set."
            )


def keep_to_its_set(run: Path, training: FaceDataset, *, size: int) -> None:
    """A run that has checkpoints goes on with the samples it was begun with: the schedule and the place in the epoch go
    by their number and order. For another one the set is written down.

    Raises:
        ValueError: other people, photos or sizes.
    """
    path = run / SET_FILE
    found = json.dumps({"samples": len(training), "checksum": f"{_checksum(training):08x}", "size": size})
    if steps_of(run) and path.exists():
        begun = path.read_text(encoding="utf-8").strip()
        if begun != found:
            raise ValueError(
                f"{training.root}: the run in {run} was begun with another set: {begun}; got {found}. Give it that "
                "one, or begin another run with this one: --output RUN2 --resume CHECKPOINT, or --start-from GENERATOR."
            )
    else:
        part = path.with_name(f"{SET_FILE}.part")
        part.write_text(found + "\n", encoding="utf-8")
        part.replace(path)


def _checksum(training: FaceDataset) -> int:
    """Of who is in the set, in order, whether in files or in shards."""
    who = [[line["id"], line.get("identity")] for line in training.samples]
    return zlib.crc32(json.dumps(who).encode())


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name])
