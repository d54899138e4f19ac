"""The way of a photo: landmarks → crop → hole → warped reference → generator → back into the photo."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import cv2
import numpy as np
import torch

from gatedinpaint import InpaintGenerator, composite, image_to_photo, load_model, photo_to_image
from gatedinpaint.faces import Face, FaceLandmarker, NoFaceError, align, segment_face_mask, warp_reference
from gatedinpaint.image import check_photo

WEIGHTS = Path(__file__).parent / "weights"
MODEL_SIZE = 128
"""Side of the crop that the default weights were trained on, in pixels."""
CROP_SIZE = 512
"""Side of the crop in which the hole is found: its outline is finer than the generator's pixels."""


MARGIN = 4
"""How far the hole reaches beyond the found face mask, in pixels of that crop: its blurred edge must go as well."""


class Origin(IntEnum):
    """Where a pixel of a result comes from."""

    ORIGINAL = 0
    GUIDED = 1
    """In the hole, where the reference shows the same place of the face."""
    INVENTED = 2
    """In the hole, with nothing to go by but the rest of the photo and what faces look like."""


@dataclass(frozen=True, eq=False)
class Removal:
    """What :func:`remove_mask` returns. Sizes are those of the photo, but for the crops."""

    photo: np.ndarray
    """The result, uint8 (H, W, 3); outside the hole every byte is that of the photo."""
    hole: np.ndarray
    """What was filled, bool (H, W)."""
    origin: np.ndarray
    """:class:`Origin` of every pixel, uint8 (H, W)."""
    crop: np.ndarray
    """The aligned face as it came, uint8 (CROP_SIZE, CROP_SIZE, 3)."""
    crop_hole: np.ndarray
    """The hole in it, bool."""
    crop_reference: np.ndarray | None
    """The reference warped onto it, as the generator saw it, uint8 (MODEL_SIZE, MODEL_SIZE, 3)."""
    crop_result: np.ndarray
    """The crop with its hole filled, uint8."""
    seconds: dict[str, float]
    """How long each step took."""


def load_default() -> InpaintGenerator:
    """The generator that comes with this example: see ``weights/README.md`` for what it was trained on."""
    generator: InpaintGenerator = load_model(WEIGHTS)
    return generator


@torch.inference_mode()
def remove_mask(
    photo: np.ndarray,
    generator: InpaintGenerator,
    landmarker: FaceLandmarker,
    *,
    reference: np.ndarray | None = None,
    size: int = MODEL_SIZE,
) -> Removal:
    """Replace the face mask that a person wears in a photo by a reconstructed face.

    Args:
        photo: uint8 RGB (H, W, 3); its largest face is worked on.
        generator: in eval mode; with reference channels when ``reference`` is given.
        landmarker: finds the faces.
        reference: another photo of the same person without a mask, uint8 RGB of any size.
        size: side of the crop that the generator sees, in pixels.

    Raises:
        NoFaceError: no face in the photo or in the reference.
        MaskNotFoundError: a face, but nothing that could be its mask.
    """
    photo = check_photo(photo)
    timer = _Timer()
    with timer("landmarks"):
        face = _largest_face(landmarker, photo, "photo")
    with timer("find the hole"):
        aligned = align(photo, face.landmarks, size=CROP_SIZE)
        crop_hole = _grow(segment_face_mask(aligned.photo, aligned.landmarks), MARGIN)
    warped, known = None, np.zeros((size, size), bool)
    if reference is not None:
        with timer("warp the reference"):
            reference_face = _largest_face(landmarker, check_photo(reference, name="reference"), "reference")
            target = (aligned.landmarks + 0.5) * (size / CROP_SIZE) - 0.5
            warped, known = warp_reference(reference, reference_face.landmarks, target, (size, size))
    with timer("generator"):
        crop_result = _fill(generator, aligned.photo, crop_hole, warped, known)
    with timer("paste"):
        hole = aligned.restore(crop_hole)
        result = np.where(hole[..., None], aligned.restore(crop_result), photo)
        guided = aligned.restore(_resize(known.astype(np.uint8), CROP_SIZE).astype(bool))
        origin = np.where(hole, np.where(guided, Origin.GUIDED, Origin.INVENTED), Origin.ORIGINAL).astype(np.uint8)
    return Removal(result, hole, origin, aligned.photo, crop_hole, warped, crop_result, timer.seconds)


def _fill(
    generator: InpaintGenerator, crop: np.ndarray, hole: np.ndarray, warped: np.ndarray | None, known: np.ndarray
) -> np.ndarray:
    """The crop with its hole filled by the generator, at the crop's own size."""
    size = len(known)
    device = next(generator.parameters()).device
    # A pixel of the generator is hole as soon as any of the finer pixels in it is: none of the mask may shine through.
    mask = torch.from_numpy(_resize(hole.astype(np.float32), size) > 0).float()[None, None]
    inputs = [photo_to_image(_resize(crop, size)), mask]
    if warped is not None:
        inputs += [photo_to_image(warped), torch.from_numpy(known).float()[None, None]]
    image, *_ = inputs = [x.to(device) for x in inputs]
    refined = composite(generator(*inputs).refined, image, inputs[1])
    filled = _resize(image_to_photo(refined), len(crop))
    return np.where(hole[..., None], filled, crop)


def _grow(hole: np.ndarray, radius: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(hole.astype(np.uint8), disc).astype(bool)


def _resize(array: np.ndarray, side: int) -> np.ndarray:
    if side <= len(array):
        return cv2.resize(array, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(array, (side, side), interpolation=cv2.INTER_CUBIC if array.ndim == 3 else cv2.INTER_NEAREST)


def _largest_face(landmarker: FaceLandmarker, photo: np.ndarray, name: str) -> Face:
    faces = landmarker.detect(photo)
    if not faces:
        raise NoFaceError(
            f"no face found in the {name}. It must be visible from the front or half the side, and not tiny."
        )
    return faces[0]


class _Timer:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
