"""A prepared training set → samples of (image, mask, reference, reference_mask), each the same whenever it is drawn."""

import zlib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from examples.mask_removal.holes import random_hole
from examples.mask_removal.placements import placed, with_remains
from examples.mask_removal.reference import reference_channels
from examples.mask_removal.shards import DamagedSampleError, is_url
from examples.mask_removal.stored_face import Face, load_face
from examples.mask_removal.training_set import INDEX_FILE, parts_of, read_index
from examples.mask_removal.views import random_view, seen_otherwise
from gatedinpaint import photo_to_image

VALIDATION_SHARE = 0.04
_KEYS = ("id", "identity", "yaw", "found_hole", "covered_landmarks", "shard", "offset", "length", "crc32")


class Batch(NamedTuple):
    """Tensors of a batch; see the words of the library: 1 = hole, 1 = reference known."""

    image: Tensor
    mask: Tensor
    reference: Tensor
    reference_mask: Tensor


class Drawn(NamedTuple):
    """A sample, or a batch of them, with what was found damaged on the way."""

    batch: Batch
    damaged: dict[str, str]
    """id → what is wrong with it."""
    replaced: int
    """Samples that another one had to stand in for."""


class FaceDataset(Dataset[Batch]):
    """Faces with a hole over the lower half, and a reference for a share of them.

    Every draw of randomness comes from (seed, epoch, index), the index being the position in this part of the set:
    neither the number of ranks or workers nor a resume nor the form of the set, files or shards, changes a sample.
    The split is by identity: nobody is in both parts.

    For a damaged sample the next good one of the index is taken, and ``damaged`` names it: id → what is wrong, every
    sample once. It grows in the process that iterates over :func:`batches`, also where workers load.

    Args:
        root: written by ``prepare.py``: a folder, or the URL of one on a web server that sends parts of files.
        validation: the held-out people, always with the same holes and references.
        reference_share: share of samples that come with a reference; the rest has none.
        placement: largest shift of a face from where the set has it, as a share of the side; see ``placements.py``.
        remains_share: share of samples with the remains of a drawn face mask around the hole, and with the landmarks
            that are believed under one.
        seed: of all randomness.
        damaged_limit: share of an epoch's samples that may be damaged; beyond it :func:`batches` raises.

    Raises:
        ValueError: no set, an empty part, or a set that ``prepare.py`` has not finished.
        OSError: a URL that is not reached.
    """

    def __init__(
        self,
        root: Path | str,
        *,
        validation: bool = False,
        reference_share: float = 0.6,
        placement: float = 0.0,
        remains_share: float = 0.0,
        seed: int = 0,
        damaged_limit: float = 0.2,
    ) -> None:
        if is_url(root):
            root = str(root).rstrip("/")  # an object store takes "SET//index.jsonl" for another file
        elif parts_of(Path(root)):
            raise ValueError(f"{root}: not finished. Run the same prepare command again; it goes on where it stopped.")
        index = [line for line in read_index(root) if "skipped" not in line]
        if not index:
            raise ValueError(f"{root}: no samples in {INDEX_FILE}. Write a training set with prepare.py first.")
        self.root = root
        # Loader processes get a copy of the lines: nothing in them that is not needed.
        self.samples = [
            {key: line[key] for key in _KEYS if key in line}
            for line in index
            if held_out(line.get("identity", line["id"])) == validation
        ]
        if not self.samples:
            part = "validation" if validation else "training"
            raise ValueError(
                f"{root}: none of its {len(index)} samples falls into the {part} part. {VALIDATION_SHARE:.0%} of the "
                "people are held out for validation: prepare a hundred photos or more into the same set."
            )
        self.validation = validation
        self.reference_share = reference_share
        self.placement = placement
        self.remains_share = remains_share
        self.seed = seed
        self.damaged_limit = damaged_limit
        self.damaged: dict[str, str] = {}
        self.epoch = 0
        self.others: dict[str, list[int]] = defaultdict(list)
        for position, line in enumerate(self.samples):
            if "identity" in line:
                self.others[line["identity"]].append(position)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position: int) -> Batch:
        drawn = self.draw(position)
        self.damaged.update(drawn.damaged)
        return drawn.batch

    def draw(self, position: int) -> Drawn:
        """The sample at ``position``.

        Raises:
            ValueError: it and so many after it are damaged that they exceed the limit by themselves.
        """
        rng = np.random.default_rng((self.seed, 0 if self.validation else self.epoch, position))
        damaged: dict[str, str] = {}
        for step in range(len(self)):
            taken = (position + step) % len(self)
            try:
                photo, landmarks, found, believed = self.load(taken)
                break
            except DamagedSampleError as error:
                damaged[self.samples[taken]["id"]] = str(error)
            if step + 1 > self.damaged_limit * len(self):
                raise ValueError(too_many(step + 1, len(self), self.damaged_limit, damaged))
        else:
            last = next(reversed(damaged.values()))
            raise ValueError(f"all {len(self)} samples are damaged; the last: {last} Prepare the set again.")
        if self.placement:
            both = np.stack([landmarks, believed])
            photo, (landmarks, believed), found = placed(photo, both, found, self.placement, rng)
        seen = photo
        if self.remains_share and rng.random() < self.remains_share:
            seen, hole = with_remains(photo, landmarks, rng)
        else:
            believed = landmarks
            hole = random_hole(landmarks, photo.shape[:2], rng, found=found)
        reference, known = np.zeros_like(photo), np.zeros(photo.shape[:2], bool)
        if rng.random() < self.reference_share:
            second, second_landmarks = self._second(taken, photo, landmarks, rng, damaged)
            reference, known = reference_channels(second, second_landmarks, seen, believed, hole)
        batch = Batch(
            photo_to_image(seen)[0],
            torch.from_numpy(hole).float()[None],
            photo_to_image(reference)[0],
            torch.from_numpy(known).float()[None],
        )
        return Drawn(batch, damaged, int(taken != position))

    def _second(
        self,
        position: int,
        photo: np.ndarray,
        landmarks: np.ndarray,
        rng: np.random.Generator,
        damaged: dict[str, str],
    ) -> tuple[np.ndarray, np.ndarray]:
        """A second photo of the person, or the same one seen otherwise, and its landmarks."""
        others = [
            other for other in self.others.get(self.samples[position].get("identity", ""), ()) if other != position
        ]
        if others:
            other = int(rng.choice(others))
            try:
                return self.load(other)[:2]
            except DamagedSampleError as error:
                damaged[self.samples[other]["id"]] = str(error)
        return seen_otherwise(photo, landmarks, random_view(rng))

    def load(self, position: int) -> Face:
        """The face at ``position`` as it lies in the set; raises as :func:`load_face`."""
        return load_face(self.root, self.samples[position])


def too_many(count: int, of: int, limit: float, damaged: dict[str, str]) -> str:
    """The message of the error that ends a run."""
    return (
        f"{count} of {of} samples are damaged, more than the limit of {limit:.0%}; the last: "
        f"{next(reversed(damaged.values()))} Prepare the set again, or raise the limit."
    )


def held_out(identity: str) -> bool:
    """Whether a person belongs to the validation part."""
    return zlib.crc32(identity.encode()) / 2**32 < VALIDATION_SHARE
