"""The way of a photo: landmarks → hole → crop → warped reference → generator → back into the photo."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from examples.mask_removal.bare_reference import bare_landmarks
from examples.mask_removal.painted_landmarks import painted_landmarks
from examples.mask_removal.painting import SIZES, Painter, paint_crop, paint_quickly, size_for
from examples.mask_removal.photo_holes import MARGIN, chosen, faces_of, found_holes, given_holes
from examples.mask_removal.reference import reference_channels
from gatedinpaint import InpaintGenerator, load_model
from gatedinpaint.faces import (
    AlignedFace,
    Face,
    FaceMask,
    Landmarker,
    align,
    face_height,
    paste,
    paste_window,
    scale_to_hold,
)
from gatedinpaint.image import check_photo

WEIGHTS = Path(__file__).parent / "weights"


class Origin(IntEnum):
    """Where a pixel of a result comes from."""

    ORIGINAL = 0
    GUIDED = 1
    """In the hole, where the reference shows the same place of the face."""
    INVENTED = 2
    """In the hole, with nothing to go by but the rest of the photo and what faces look like."""


@dataclass(frozen=True, eq=False)
class FilledFace:
    """One face whose face mask was taken off."""

    face: Face
    face_mask: FaceMask | None
    """What was found, with how far it is to be trusted; None where the hole was given."""
    hole: np.ndarray
    """What was filled: the found pixels and a margin, or what was given; bool (H, W) of the photo's size."""
    aligned: AlignedFace
    """The crop that the generator saw; larger than FFHQ's where the face mask reaches beyond it."""
    reference: np.ndarray | None
    """The reference warped onto that crop, uint8."""

    def crop(self, picture: np.ndarray, *, size: int = 320) -> np.ndarray:
        """This face cut out of the photo, of the result, or of a hole of the same size."""
        scale = self.aligned.scale
        if picture.dtype != bool:
            return align(picture, self.face.landmarks, size=size, scale=scale).photo
        as_photo = np.repeat(picture[..., None].astype(np.uint8) * 255, 3, axis=2)
        return align(as_photo, self.face.landmarks, size=size, scale=scale).photo[..., 0] > 127


@dataclass(frozen=True, eq=False)
class Removal:
    """What :func:`remove_mask` returns."""

    photo: np.ndarray
    """The result, uint8 (H, W, 3); outside the hole every byte is that of the photo."""
    hole: np.ndarray
    """What was filled, on all faces, bool (H, W)."""
    origin: np.ndarray
    """:class:`Origin` of every pixel, uint8 (H, W)."""
    faces: list[FilledFace]
    """The faces that were worked on, the largest first."""
    seconds: dict[str, float]
    """How long each step took."""


def load_default() -> InpaintGenerator:
    """The generator that comes with this example: see ``weights/README.md`` for what it was trained on."""
    return load_generator(WEIGHTS)


def load_generator(folder: Path, *, device: str = "cpu") -> InpaintGenerator:
    """A generator of a run, or another that :func:`save_model` wrote, to paint with: its weights want no gradient.

    Raises:
        FileNotFoundError, ValueError: the folder holds no model, a damaged one, or another network; no such device.
    """
    generator = load_model(folder, device=device)
    if not isinstance(generator, InpaintGenerator):
        raise ValueError(f"{folder}: expected an InpaintGenerator; got a {type(generator).__name__}.")
    return generator.requires_grad_(False)


@torch.inference_mode()
def remove_mask(
    photo: np.ndarray,
    generator: InpaintGenerator | Painter,
    landmarker: Landmarker,
    *,
    reference: np.ndarray | None = None,
    faces: Literal["masked", "all"] | int = "masked",
    hole: np.ndarray | None = None,
    size: int | None = None,
) -> Removal:
    """Replace the face masks that people wear in a photo by reconstructed faces.

    Args:
        photo: uint8 RGB (H, W, 3).
        generator: in eval mode; with reference channels when ``reference`` is given.
        landmarker: finds the faces, as many as it was made for.
        reference: another photo of the same person without a face mask, uint8 RGB of any size; its largest face serves.
        faces: ``"masked"`` for every face that wears a face mask, an error if none does; ``"all"`` for the same
            without the error; a number for that one face, 0 being the largest. A bare face is left alone.
        hole: fill these pixels instead of the face masks that are found, bool (H, W) of the photo's size; each
            connected part counts to the nearest face.
        size: side in pixels of the crop that the generator sees, for an FFHQ-style square; by default that of
            :data:`SIZES` which shows what the photo shows of the face.

    Raises:
        NoFaceError: no face in the photo or in the reference, or fewer than the number asks for.
        MaskNotFoundError: faces, but no face mask on what was asked for.
        ValueError: a reference for several people, or one with a face mask; a hole that is empty, of another size than
            the photo, or far from every face.
    """
    photo = check_photo(photo)
    timer = _Timer()
    if hole is not None and (hole.dtype != bool or hole.shape != photo.shape[:2]):
        raise ValueError(f"hole must be bool of the photo's size {photo.shape[:2]}; got {hole.dtype} {hole.shape}.")
    with timer("landmarks"):
        found = chosen(faces_of(landmarker, photo, "photo"), faces)
    with timer("find the hole"):
        masked = found_holes(photo, found, required=faces != "all") if hole is None else given_holes(photo, hole, found)
    second: tuple[np.ndarray, np.ndarray] | None = None
    if reference is not None and masked:
        if len(masked) > 1:
            raise ValueError(
                f"reference shows one person, but {len(masked)} people in the photo "
                f"{'wear a face mask' if hole is None else 'are touched by the hole'}. "
                "Choose one: 0 is the largest, then 1, …"
            )
        with timer("landmarks"):
            second = reference, bare_landmarks(reference, landmarker)

    result, filled_hole = photo, np.zeros(photo.shape[:2], bool)
    origin = np.full(photo.shape[:2], Origin.ORIGINAL, np.uint8)
    filled = []
    for face, face_mask, wanted, landmarks in masked:
        with timer("find the hole"):
            own = wanted & ~filled_hole  # of two faces side by side the larger keeps its pixels
            if not own.any():
                continue
            scale = scale_to_hold(landmarks, own, largest=math.inf)
            side = size or size_for(_pixels(landmarks))
            # Of the result so far: a face beside this one shows its face mask no more.
            aligned = align(result, landmarks, size=round(side * scale), scale=scale)
            mask = aligned.cover(own)
        warped, known = None, np.zeros(mask.shape, bool)
        if second is not None:
            seen = aligned.landmarks
            if landmarks is not face.landmarks:  # believed under a face mask
                with timer("generator"):
                    painted = paint_quickly(generator, aligned.photo, mask, size=side)
                with timer("landmarks"):
                    seen = painted_landmarks(landmarker, painted, seen)
            with timer("warp the reference"):
                warped, known = reference_channels(*second, aligned.photo, seen, mask)
        with timer("generator"):
            generated = paint_crop(generator, aligned.photo, mask, warped, known, size=side)
        with timer("paste"):
            resolution = 1 / math.sqrt(np.linalg.det(aligned.matrix[:, :2]))
            window = paste_window(own, resolution)
            drawn = aligned.restore(generated, window=window)
            result = paste(
                result, drawn, own, resolution=resolution, feather=0.6 * MARGIN * face_height(face.landmarks)
            )
            guided = aligned.restore(known, window=window)
            origin[own] = np.where(guided[own], Origin.GUIDED, Origin.INVENTED)
            filled_hole |= own
        filled.append(FilledFace(face, face_mask, own, aligned, warped))
    return Removal(result if filled else photo.copy(), filled_hole, origin, filled, timer.seconds)


def _pixels(landmarks: np.ndarray) -> float:
    """Side in the photo of the FFHQ-style square around a face."""
    matrix = align(np.zeros((2, 2, 3), np.uint8), landmarks, size=SIZES[0]).matrix
    return SIZES[0] / math.sqrt(np.linalg.det(matrix[:, :2]))


class _Timer:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
