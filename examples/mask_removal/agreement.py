"""Before a run begins: what every rank was given by its own command line and disk has to be the same."""

import json
import zlib
from typing import Any

from examples.mask_removal.config import Config
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.distributed import Ranks


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


def _checksum(training: FaceDataset) -> int:
    """Of who is in the set, in order, whether in files or in shards."""
    who = [[line["id"], line.get("identity")] for line in training.samples]
    return zlib.crc32(json.dumps(who).encode())


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(f"{name} {old[name]} → {new[name]}" for name in old if old[name] != new[name])
