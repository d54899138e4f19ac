"""On what the quality of results is measured: whose faces, which holes.

Two protocols. *Held out*: the people of a training set that training never sees, with the holes of training. *The
paper's*: photos of CelebA or FFHQ at 256×256 with the polygon of the lower face as the hole, for those who have them.
"""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.baselines import FolderOfResults
from examples.mask_removal.crops import prepare_photo
from examples.mask_removal.data import Batch
from examples.mask_removal.fills import Fill
from examples.mask_removal.held_out import BATCH, HeldOut, spread
from examples.mask_removal.photo_sources import SourcePhoto
from gatedinpaint import photo_to_image, read_photo
from gatedinpaint.faces import mask_polygon, polygon_hole

PAPERS_SIDE = 256
_CELEBA_PARTITION = "list_eval_partition.txt"
_CELEBA_TEST = "2"
_FFHQ_TRAINING = 60_000


class LowerFaces:
    """Photos, aligned at 256×256, with the paper's polygon over the lower face as the hole, unmoved.

    Args:
        photos: files.
        aligned: they are aligned crops already, as FFHQ's are.
    """

    def __init__(self, photos: Sequence[Path], *, aligned: bool) -> None:
        self.photos = list(photos)
        self.aligned = aligned
        self.skipped: dict[str, str] = {}

    def batches(self) -> Iterator[tuple[list[str], Batch]]:
        """Names and samples; photos without a face end up in ``skipped``, with the reason."""
        for first in range(0, len(self.photos), BATCH):
            there = [(path.stem, sample) for path in self.photos[first : first + BATCH] if (sample := self._load(path))]
            if there:
                yield (
                    [id for id, _ in there],
                    Batch(*(torch.stack(x) for x in zip(*(s for _, s in there), strict=True))),
                )

    def _load(self, path: Path) -> Batch | None:
        item = SourcePhoto(id=path.stem, source=str(path), content=path, identity=None)
        prepared = prepare_photo(item, size=PAPERS_SIDE, aligned=self.aligned, found_holes=False)
        if not prepared.files:
            self.skipped[path.stem] = prepared.line["skipped"]
            return None
        photo = read_photo(io.BytesIO(prepared.files["png"]))
        hole = polygon_hole(mask_polygon(np.load(io.BytesIO(prepared.files["npy"]))), photo.shape[:2])
        image, mask = photo_to_image(photo)[0], torch.from_numpy(hole).float()[None]
        return Batch(image, mask, torch.zeros_like(image), torch.zeros_like(mask))


class Faces(NamedTuple):
    """What a protocol measures on."""

    about: str
    """One line for the reader of the table."""
    source: HeldOut | LowerFaces
    count: int | None = None
    """Of the photos, to say how long it will still take."""


def held_out(data: Path | str, limit: int | None) -> Faces:
    """The validation part of a training set."""
    faces = HeldOut(data, limit=limit)
    side = faces.faces[0].image.shape[-1]
    people = "people held out of training, holes as in training"
    return Faces(f"{len(faces.positions)} crops of {side} px, {people}", faces, len(faces.positions))


def papers(dataset: str, folder: Path, limit: int | None) -> Faces:
    """CelebA's test part, or FFHQ's last 10,000 photos, which are its validation part by convention.

    Raises:
        ValueError: the folder holds no photos of these parts.
    """
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    if dataset == "celeba":
        part, names = "its test part", _celeba_test(folder)
        photos = [path for path in photos if path.stem in names] if names else photos
        part = part if names else f"all photos, as there is no {_CELEBA_PARTITION}"
    else:
        part = "photos 60000 to 69999"
        photos = [path for path in photos if path.stem.isdecimal() and int(path.stem) >= _FFHQ_TRAINING]
    if len(photos) < 2:
        raise ValueError(f"{folder}: {len(photos)} photos of {dataset} ({part}); expected at least 2.")
    chosen = [photos[position] for position in spread(len(photos), limit)]
    about = f"{dataset}, {part}: {len(chosen)} photos at {PAPERS_SIDE} px, hole: the polygon of the lower face"
    return Faces(about, LowerFaces(chosen, aligned=dataset == "ffhq"), len(chosen))


def _celeba_test(folder: Path) -> set[str]:
    for place in (folder, folder.parent, folder / "Eval", folder.parent / "Eval"):
        if (place / _CELEBA_PARTITION).is_file():
            lines = (place / _CELEBA_PARTITION).read_text(encoding="utf-8").split("\n")
            pairs = [line.split() for line in lines if line.strip()]
            return {Path(name).stem for name, part in pairs if part == _CELEBA_TEST}
    return set()


def first_of(batches: Iterable[tuple[list[str], Batch]], count: int) -> Iterator[tuple[list[str], Batch]]:
    """The first ``count`` samples."""
    for ids, batch in batches:
        if count <= 0:
            return
        yield ids[:count], Batch(*(x[:count] for x in batch))
        count -= len(ids)


def with_folders(
    batches: Iterable[tuple[list[str], Batch]], chosen: dict[str, Fill], folders: Mapping[str, FolderOfResults]
) -> Iterator[tuple[list[str], Batch]]:
    """The batches; while one is out, ``chosen`` fills it with the pictures in ``folders`` too."""
    for ids, batch in batches:
        for name, folder in folders.items():
            chosen[name] = lambda batch, folder=folder, ids=ids: folder.of(ids, batch)
        yield ids, batch
