"""The held-out people of a training set, and their second photos."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from examples.mask_removal.data import Batch, FaceDataset
from examples.mask_removal.reference import reference_channels
from examples.mask_removal.shards import DamagedSampleError
from gatedinpaint import photo_to_image

BATCH = 16


class Pair(NamedTuple):
    """A face with two references to fill it by."""

    position: int
    """In the held-out part."""
    own: int
    """Position of another photo of the same person."""
    stranger: int
    """Position of a photo of somebody else."""
    yaw_difference: float
    """Between the face and ``own``, in degrees."""


class HeldOut:
    """The validation part of a set: always the same holes, whatever is measured.

    Damaged samples are left out, and named in ``damaged``: id → what is wrong.

    Args:
        data: a set written by ``prepare.py``.
        limit: take so many faces from all over it only.
    """

    def __init__(self, data: Path | str, *, limit: int | None = None) -> None:
        self.faces = FaceDataset(data, validation=True, reference_share=1.0)
        self.damaged: dict[str, str] = {}
        self._looked_at: set[int] = set()
        chosen = tqdm(spread(len(self.faces), limit), desc="read", unit=" faces", leave=False, disable=None)
        self.positions = [position for position in chosen if self._is_whole(position)]

    @property
    def about(self) -> dict[str, Any]:
        """For the manifest of a report."""
        return {"seed": self.faces.seed, "set": Path(str(self.faces.root)).name}

    def batch(self, positions: list[int]) -> Batch:
        """Images and holes, with references as in training: a second photo of the person where there is one, else
        the same photo seen otherwise."""
        return _stack([self.faces[position] for position in positions])

    def batches(self) -> Iterator[tuple[list[str], Batch]]:
        """Names and samples, one batch after the other."""
        for first in range(0, len(self.positions), BATCH):
            positions = self.positions[first : first + BATCH]
            yield self.ids(positions), self.batch(positions)

    def ids(self, positions: list[int]) -> list[str]:
        """The names of the samples."""
        return [self.faces.samples[position]["id"] for position in positions]

    def pairs(self) -> list[Pair]:
        """Those of the faces that have a real second photo; which one, and which stranger, is always the same."""
        samples, pairs = self.faces.samples, []
        paired = [
            position for position in self.positions if len(self.faces.others.get(_person(samples[position]), ())) > 1
        ]
        for place, position in enumerate(paired):
            others = [other for other in self.faces.others[_person(samples[position])] if other != position]
            others = [other for other in others if self._is_whole(other)]
            if not others:
                continue
            own = int(np.random.default_rng((1, position)).choice(others))
            # Half the list away, so that neighbours, who are often alike in origin, do not meet.
            around = [paired[(place + len(paired) // 2 + step) % len(paired)] for step in range(len(paired))]
            stranger = next((other for other in around if _person(samples[other]) != _person(samples[position])), None)
            if stranger is not None:
                difference = abs(samples[position].get("yaw", 0.0) - samples[own].get("yaw", 0.0))
                pairs.append(Pair(position, own, stranger, difference))
        return pairs

    def _is_whole(self, position: int) -> bool:
        id = self.faces.samples[position]["id"]
        if position not in self._looked_at:
            try:
                self.faces.load(position)
            except DamagedSampleError as error:
                self.damaged[id] = str(error)
            self._looked_at.add(position)
        return id not in self.damaged

    def guided(
        self, batch: Batch, positions: list[int], others: list[int], *, landmarks: Sequence[np.ndarray] | None = None
    ) -> Batch:
        """The batch of ``positions`` with the photos at ``others`` as its references.

        They are warped onto ``landmarks``, by default those of the bare face.
        """
        references, known = [], []
        for place, (mask, position, other) in enumerate(zip(batch.mask, positions, others, strict=True)):
            photo, points = self.faces.load(position)[:2]
            second, second_landmarks = self.faces.load(other)[:2]
            hole = mask[0].numpy() > 0.5
            points = points if landmarks is None else landmarks[place]
            warped, shown = reference_channels(second, second_landmarks, photo, points, hole)
            references.append(photo_to_image(warped))
            known.append(torch.from_numpy(shown).float()[None, None])
        return Batch(batch.image, batch.mask, torch.cat(references), torch.cat(known))

    def believed(self, positions: list[int]) -> list[np.ndarray]:
        """The landmarks as they are believed to be under a face mask; those of the bare face where the set has none."""
        return [self.faces.load(position).believed for position in positions]


def spread(length: int, limit: int | None) -> list[int]:
    """All positions, or ``limit`` from all over the set, always the same ones."""
    if limit is not None and limit < 2:
        raise ValueError(f"--limit must be 2 or more; got {limit}.")
    count = min(limit or length, length)
    return sorted({round(position * (length - 1) / max(1, count - 1)) for position in range(count)})


def _person(sample: dict[str, object]) -> str:
    return str(sample.get("identity", ""))


def _stack(samples: list[Batch]) -> Batch:
    tensors: list[Tensor] = [torch.stack(x) for x in zip(*samples, strict=True)]
    return Batch(*tensors)
