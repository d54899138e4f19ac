"""What the generator paints into the hole of a crop: at the size it knows best, the rest and the details after that."""

import functools
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np
import torch

from gatedinpaint import InpaintGenerator, image_to_photo, photo_to_image

SIZES = (128, 256)
"""Sides of an FFHQ-style crop, in pixels, that the default weights were trained on."""
_WORTH_IT = 1.3
"""Pixels of the photo to one of the smaller crop from which on the larger one shows more."""
_MARGIN = 0.016
"""How far a first pass is shown around the hole, as a share of the side."""

_GREY = 8
"""In a grey photo the channels differ by no more, in 99 of 100 pixels; JPEG may have left some colour."""

Paint = Callable[[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None], np.ndarray]


class Painter(Protocol):
    """A generator that is no PyTorch module, such as :class:`OnnxGenerator`."""

    @property
    def reference(self) -> bool:
        """Whether it takes a reference."""
        ...

    def paint(
        self, crop: np.ndarray, hole: np.ndarray, reference: np.ndarray | None, known: np.ndarray | None
    ) -> np.ndarray:
        """The whole frame of a crop, uint8 (H, W, 3), from the crop, its hole, bool (H, W), and a warped reference."""
        ...


def size_for(pixels: float) -> int:
    """Which of :data:`SIZES` a crop should have that is ``pixels`` wide in the photo."""
    return SIZES[1] if pixels >= _WORTH_IT * SIZES[0] else SIZES[0]


@torch.inference_mode()
def paint_crop(
    generator: InpaintGenerator | Painter,
    crop: np.ndarray,
    hole: np.ndarray,
    warped: np.ndarray | None = None,
    known: np.ndarray | None = None,
    *,
    size: int,
) -> np.ndarray:
    """The generator's whole frame, uint8 of the crop's size; what lies in the hole of the crop does not matter.

    A crop that was enlarged to hold all of the hole has the face elsewhere than most crops of the training have it. So
    its middle, which is such a crop, is filled by itself; the rest only as far as the hole reaches out of it.

    A grey photo is painted in grey: the generator has learned from coloured ones.

    At more than 128 pixels and without a reference the middle is filled in two passes, see :func:`paint_in_two_passes`.

    Args:
        generator: in eval mode.
        crop: uint8 RGB (S, S, 3).
        hole: bool (S, S).
        warped: the reference warped onto the crop, uint8; None without.
        known: where it shows something, bool (S, S).
        size: side of its middle that is an FFHQ-style crop; not more than S.
    """
    paint = paint_of(generator)
    start = (len(crop) - size) // 2
    middle = np.s_[start : start + size, start : start + size]
    beyond = hole.copy()
    beyond[middle] = False
    frame = paint(crop, hole, warped, known) if beyond.any() else crop.copy()
    if warped is None and size > SIZES[0] and getattr(generator, "reference", False):
        frame[middle] = paint_in_two_passes(paint, crop[middle], hole[middle])
    else:
        of_middle = (None if x is None else x[middle] for x in (warped, known))
        frame[middle] = paint(crop[middle], hole[middle], *of_middle)
    return _grey(frame) if _is_grey(crop[~hole]) else frame


def paint_in_two_passes(paint: Paint, crop: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Paint the crop at 128 pixels, then at its own size with that as the reference.

    Where a face has its parts is seen best when all of it is near, and details where there are pixels for them.

    Args:
        paint: of a generator with reference channels.
        crop: uint8 RGB (S, S, 3), S > 128.
        hole: bool (S, S).
    """
    side = 2 * round(_MARGIN * len(crop)) + 1
    near = cv2.dilate(hole.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    first = paint_small(paint, crop, hole)
    return paint(crop, hole, np.where(near[..., None], first, np.uint8(0)), near)


def paint_small(paint: Paint, crop: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The crop, uint8 RGB (S, S, 3), with its hole painted at 128 pixels or fewer, without a reference."""
    small = (min(SIZES[0], len(crop)),) * 2
    little = cv2.resize(crop, small, interpolation=cv2.INTER_AREA)
    little_hole = cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0
    drawn = np.where(little_hole[..., None], paint(little, little_hole, None, None), little)
    return cv2.resize(drawn, hole.shape[::-1], interpolation=cv2.INTER_CUBIC)


@torch.inference_mode()
def paint_quickly(
    generator: InpaintGenerator | Painter, crop: np.ndarray, hole: np.ndarray, *, size: int
) -> np.ndarray:
    """The crop, uint8 RGB (S, S, 3), with the hole in its middle of ``size`` pixels painted, at 128 at most."""
    start = (len(crop) - size) // 2
    middle = np.s_[start : start + size, start : start + size]
    painted = crop.copy()
    painted[middle][hole[middle]] = paint_small(paint_of(generator), crop[middle], hole[middle])[hole[middle]]
    return painted


def paint_of(generator: InpaintGenerator | Painter) -> Paint:
    """The function that paints one crop."""
    return functools.partial(_paint, generator) if isinstance(generator, torch.nn.Module) else generator.paint


def _is_grey(pixels: np.ndarray) -> bool:
    """Whether pixels (N, 3) have no colour; none have none to tell."""
    return len(pixels) > 0 and float(np.percentile(np.ptp(pixels, axis=1), 99)) <= _GREY


def _grey(photo: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def _paint(
    generator: InpaintGenerator,
    crop: np.ndarray,
    hole: np.ndarray,
    warped: np.ndarray | None,
    known: np.ndarray | None,
) -> np.ndarray:
    inputs = [photo_to_image(crop), torch.from_numpy(hole).float()[None, None]]
    if warped is not None and known is not None:
        inputs += [photo_to_image(warped), torch.from_numpy(known).float()[None, None]]
    device = next(generator.parameters()).device
    return image_to_photo(generator(*(x.to(device) for x in inputs)).refined)
