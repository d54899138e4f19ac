"""A prepared training set → (image, mask, reference, reference_mask), the same whenever and wherever it is drawn."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from examples.mask_removal.training_set import INDEX_FILE, read_index
from examples.mask_removal.views import random_view, seen_otherwise
from gatedinpaint import photo_to_image, read_photo
from gatedinpaint.faces import MASK_STYLES, face_height, face_mask_hole, mask_polygon, polygon_hole, warp_reference

VALIDATION_SHARE = 0.04
DRAWN_SHARE = 0.6
"""Share of holes that have the outline of a drawn face mask; the others are polygons."""


class Batch(NamedTuple):
    """Tensors of a batch; see the words of the library: 1 = hole, 1 = reference known."""

    image: Tensor
    mask: Tensor
    reference: Tensor
    reference_mask: Tensor


class FaceDataset(Dataset[Batch]):
    """Faces with a hole over the lower half, and a reference for a share of them.

    Every draw of randomness comes from (seed, epoch, index): neither the number of workers nor a resume changes a
    sample. The split is by identity: nobody is in both parts.

    Args:
        folder: written by ``prepare.py``.
        validation: the held-out people, always with the same holes and references.
        reference_share: share of samples that come with a reference; the rest has none.
        seed: of all randomness.
    """

    def __init__(self, folder: Path, *, validation: bool = False, reference_share: float = 0.6, seed: int = 0) -> None:
        index = [line for line in read_index(folder) if "skipped" not in line]
        if not index:
            raise ValueError(f"{folder}: no samples in {INDEX_FILE}. Write a training set with prepare.py first.")
        self.folder = folder
        self.samples = [line for line in index if _held_out(line.get("identity", line["id"])) == validation]
        if not self.samples:
            part = "validation" if validation else "training"
            raise ValueError(
                f"{folder}: none of its {len(index)} samples falls into the {part} part. Prepare more photos."
            )
        self.validation = validation
        self.reference_share = reference_share
        self.seed = seed
        self.epoch = 0
        self.others: dict[str, list[str]] = defaultdict(list)
        for line in self.samples:
            if "identity" in line:
                self.others[line["identity"]].append(line["id"])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, position: int) -> Batch:
        line = self.samples[position]
        epoch = 0 if self.validation else self.epoch
        rng = np.random.default_rng((self.seed, epoch, position))
        photo, landmarks = self._load(line["id"])
        hole = random_hole(landmarks, photo.shape[:2], rng)
        reference, known = np.zeros_like(photo), np.zeros(photo.shape[:2], bool)
        if rng.random() < self.reference_share:
            others = [id for id in self.others.get(line.get("identity", ""), ()) if id != line["id"]]
            if others:
                second, second_landmarks = self._load(str(rng.choice(others)))
            else:
                second, second_landmarks = seen_otherwise(photo, landmarks, random_view(rng))
            reference, known = warp_reference(
                second, second_landmarks, landmarks, photo.shape[:2], target=photo, hole=hole
            )
        return Batch(
            photo_to_image(photo)[0],
            torch.from_numpy(hole).float()[None],
            photo_to_image(reference)[0],
            torch.from_numpy(known).float()[None],
        )

    def _load(self, id: str) -> tuple[np.ndarray, np.ndarray]:
        path = self.folder / "samples" / id
        try:
            photo, landmarks = read_photo(path.with_name(f"{id}.png")), np.load(path.with_name(f"{id}.npy"))
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"{path}: damaged sample: {error}") from error
        if landmarks.shape != (478, 2):
            raise ValueError(f"{path}: damaged sample: landmarks must be (478, 2); got {landmarks.shape}.")
        return photo, landmarks


def random_hole(landmarks: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A hole like those of worn masks: the outline of a drawn one or the lower-face polygon, jittered and dilated."""
    unit = face_height(landmarks)
    moved = landmarks + rng.normal(0, 0.012 * unit, landmarks.shape) + rng.normal(0, 0.01 * unit, 2)
    if rng.random() < DRAWN_SHARE:
        style, seed = MASK_STYLES[rng.integers(len(MASK_STYLES))], int(rng.integers(2**31))
        hole = face_mask_hole(moved, size, style=style, seed=seed, ear_loops=rng.random() < 0.5)
    else:
        polygon = mask_polygon(moved, jaw_shift=rng.uniform(0.0, 0.18), top_shift=rng.uniform(-0.06, 0.06))
        hole = polygon_hole(polygon, size)
    radius = rng.integers(0, 1 + round(0.04 * unit))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(hole.astype(np.uint8), kernel).astype(bool)


def batches(dataset: FaceDataset, *, batch_size: int, epoch: int, first: int = 0, workers: int = 0) -> Iterator[Batch]:
    """The batches of an epoch in its own random order, from the batch ``first`` on; a last, smaller one is dropped.

    Raises:
        ValueError: a sample is damaged.
    """
    dataset.epoch = epoch
    order = np.random.default_rng((dataset.seed, epoch)).permutation(len(dataset))
    order = order[first * batch_size : len(order) // batch_size * batch_size]
    # The loader draws a base seed when it is iterated: from a generator of its own, not from the global one.
    generator = torch.Generator().manual_seed(dataset.seed)
    context = "spawn" if workers else None
    loader = DataLoader(
        dataset,
        batch_size,
        sampler=_Order([int(position) for position in order]),
        num_workers=workers,
        generator=generator,
        multiprocessing_context=context,
        worker_init_fn=_one_thread,
    )
    try:
        yield from loader
    except ValueError as error:
        # A worker hands over its whole traceback as the message, which ends in the error itself.
        raise ValueError(str(error).strip().splitlines()[-1].removeprefix("ValueError: ")) from error


class _Order(torch.utils.data.Sampler[int]):
    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = positions

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _held_out(identity: str) -> bool:
    return zlib.crc32(identity.encode()) / 2**32 < VALIDATION_SHARE
