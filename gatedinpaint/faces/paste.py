"""Put what was generated into the photo: a seam that closes, grain like the rest, and no byte changed outside."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._checks import check_hole
from gatedinpaint.faces._grain import missing_grain
from gatedinpaint.image import Hole, Photo, check_photo

_Floats = NDArray[np.float32]

_MAX_STEP = 48.0
"""Largest correction of colour at the seam, in grey levels: more is cloth or hair, not skin in other light."""


def paste(
    photo: Photo,
    generated: NDArray[Any],
    hole: Hole,
    *,
    resolution: float = 1.0,
    feather: float = 0.0,
    grain: bool = True,
    seed: int = 0,
) -> Photo:
    r"""Fill the hole of a photo with generated pixels; outside the hole every byte stays.

    Three things give a pasted region away, and each has its remedy:

    * *a step of colour at the border*. The difference d = photo − generated, measured just outside the hole, is
      continued into it and fades with the distance s from the border:
      :math:`g' = g + \bar d \, e^{-s / \lambda}`, with λ a sixth of the hole's size. A Poisson seam continues d without
      fading, and one bad border pixel then tints the whole region.
    * *a hard edge*. Over ``feather`` pixels inside the border, photo and generated pixels are blended.
    * *missing grain*. In every octave of frequency that the generator cannot draw (finer than ``resolution``), noise is
      added until the contrast in calm places of the filled hole is that of calm places of the same colour around it: a
      sharp photo's pores and sensor noise go on, a soft photo stays soft, and a fill with grain of its own gets less.

    Args:
        photo: uint8 RGB (H, W, 3).
        generated: (H, W, 3) in 0…255, uint8 or float; used in the hole and in a margin around it, where the generator
            saw the photo. Elsewhere it may hold anything.
        hole: bool (H, W), what is to be filled.
        resolution: photo pixels to one pixel of the generator; at most 1 when the generated pixels are as fine as
            the photo's.
        feather: width in photo pixels, inside the hole, over which the photo fades out. What fades is the photo's
            border *in* the hole: let the hole reach that far beyond what has to go.
        grain: match the grain.
        seed: of the grain.

    Returns:
        A new photo. An empty hole gives a copy.

    Raises:
        TypeError: a photo that is not uint8, a hole that is not bool, generated pixels that are not a numpy array.
        ValueError: sizes that differ; numbers out of range; generated values that are not finite, or that run over
            [0, 1] or [−1, 1].
        ImportError: OpenCV is not installed.

    Example:
        >>> photo = np.full((40, 40, 3), 100, np.uint8)
        >>> hole = np.zeros((40, 40), bool)
        >>> hole[10:30, 10:30] = True
        >>> generated = np.full((40, 40, 3), 90.0)  # too dark throughout
        >>> pasted = paste(photo, generated, hole)
        >>> int(pasted[11, 20, 0]) > int(pasted[20, 20, 0]) >= 90
        True
    """
    photo = check_photo(photo)
    _check(photo, generated, hole, resolution, feather)
    result = photo.copy()
    if not hole.any():
        return result
    window = paste_window(hole, resolution)
    part, inside, drawn = photo[window], hole[window], generated[window]
    _check_values(drawn)
    fill = drawn.astype(np.float32)
    if not inside.all():
        fill += _seam(part, fill, inside, resolution)
    if grain:
        fill += missing_grain(part, fill, inside, resolution, np.random.default_rng(seed))
    if feather > 0:
        weight = np.minimum(_distance(inside) / (feather + 1), 1)[..., None]
        fill = weight * fill + (1 - weight) * part
    cv2 = require("cv2", "faces")
    result[window][inside] = cv2.add(fill, 0.0, dtype=cv2.CV_8U)[inside]  # rounds and clips
    return result


def paste_window(hole: Hole, resolution: float = 1.0) -> tuple[slice, slice]:
    """The rows and columns that :func:`paste` looks at: the hole and eight pixels of the generator around it.

    Args:
        hole: bool (H, W) with at least one pixel.
        resolution: as for :func:`paste`.

    Raises:
        TypeError: a hole that is not a numpy array of bool.
        ValueError: a hole that is not (H, W) or is empty, a resolution that is not more than 0.

    Example:
        >>> hole = np.zeros((100, 80), bool)
        >>> hole[40:60, 50:60] = True
        >>> paste_window(hole, 2.0)
        (slice(24, 76, None), slice(34, 76, None))
    """
    check_hole(hole)
    _check_resolution(resolution)
    margin = round(max(8.0, 8 * resolution))
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    if not len(rows):
        raise ValueError("hole must mark at least one pixel; got an empty one.")
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _seam(photo: Photo, fill: _Floats, hole: Hole, resolution: float) -> _Floats:
    """The correction (H, W, 3) that closes the step at the border and fades inside, found at the generator's scale."""
    cv2 = require("cv2", "faces")
    factor = max(1.0, resolution)
    height, width = (max(4, round(side / factor)) for side in hole.shape)
    visible = (~hole).astype(np.uint8)

    def shrink(array: _Floats) -> _Floats:
        small: _Floats = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
        return small

    known = shrink(visible.astype(np.float32))
    step = shrink(cv2.subtract(photo, fill, mask=visible, dtype=cv2.CV_32F)) / np.maximum(known, 1e-3)[..., None]
    step = step.clip(-_MAX_STEP, _MAX_STEP)
    near = cv2.dilate((known < 0.99).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    trust = known * near / (1 + (np.abs(step).mean(-1) / (_MAX_STEP / 2)) ** 2)
    spread = _spread(step, np.where(known > 0.5, trust, 0).astype(np.float32))
    reach = math.sqrt(float(hole.sum())) / 6 / factor
    fading = np.exp(-_distance(known < 0.5) / reach)[..., None]
    correction = (spread * fading).astype(np.float32)
    enlarged: _Floats = cv2.resize(correction, (hole.shape[1], hole.shape[0]), interpolation=cv2.INTER_LINEAR)
    return enlarged


def _spread(values: NDArray[np.floating], weight: NDArray[np.floating]) -> NDArray[np.floating]:
    """Continue values (H, W, 3) to where their weight is 0: averages on ever coarser grids, refined again."""
    cv2 = require("cv2", "faces")
    if min(weight.shape) <= 2:
        total = float(weight.sum())
        mean = (values * weight[..., None]).sum((0, 1)) / max(total, 1e-6)
        rest = np.broadcast_to(mean, values.shape)
    else:
        half = (max(1, weight.shape[1] // 2), max(1, weight.shape[0] // 2))
        coarse = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
        sums = cv2.resize(values * weight[..., None], half, interpolation=cv2.INTER_AREA)
        known = _spread(sums / np.maximum(coarse, 1e-6)[..., None], np.minimum(4 * coarse, 1))
        rest = cv2.resize(known, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
    mix = np.minimum(weight, 1)[..., None]
    blended: NDArray[np.floating] = mix * values + (1 - mix) * rest
    return blended


def _distance(inside: Hole) -> _Floats:
    """Of every pixel inside, to the nearest pixel outside; 0 outside. Beyond the array counts as inside."""
    cv2 = require("cv2", "faces")
    distance: _Floats = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance


def _check(photo: Photo, generated: NDArray[Any], hole: Hole, resolution: float, feather: float) -> None:
    check_hole(hole, (photo.shape[0], photo.shape[1]))
    if not isinstance(generated, np.ndarray):
        raise TypeError(f"generated must be a numpy array (H, W, 3); got {type(generated).__name__}.")
    if generated.shape != photo.shape:
        raise ValueError(f"generated must be {photo.shape} as the photo; got {generated.shape}.")
    _check_resolution(resolution)
    if not 0 <= feather < math.inf:
        raise ValueError(f"feather must be 0 or more pixels; got {feather}.")


def _check_resolution(resolution: float) -> None:
    if not 0 < resolution < math.inf:
        raise ValueError(f"resolution must be more than 0 photo pixels; got {resolution}.")


def _check_values(drawn: NDArray[Any]) -> None:
    if drawn.dtype == np.uint8:
        return
    low, high = float(drawn.min()), float(drawn.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError("generated must be finite in the hole and around it; got NaN or infinity.")
    if low < 0 or 0 < high <= 1:
        raise ValueError(
            f"generated must be in 0…255; got values from {low:.3g} to {high:.3g}. Use image_to_photo for an image in "
            "[−1, 1], or multiply one in [0, 1] by 255."
        )
