"""Put what was generated into the photo: a seam that closes, grain like the rest, and no byte changed outside."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._checks import check_hole
from gatedinpaint.faces._grain import missing_grain
from gatedinpaint.faces._seam import corrected, distance_inside, seam
from gatedinpaint.image import Hole, Photo, check_photo

_Floats = NDArray[np.float32]

_ROWS = 64  # at a time; divides the side of the grain's tile


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
    fill = drawn if drawn.dtype == np.uint8 else np.rint(drawn).clip(0, 255).astype(np.uint8)
    if not inside.all():
        fill = corrected(fill, seam(part, fill, inside, resolution))
    noise = missing_grain(part, fill, inside, resolution, np.random.default_rng(seed)) if grain else None
    fading = distance_inside(inside) / np.float32(feather + 1) if feather > 0 else None
    _fill(result[window], inside, fill, noise, fading)
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


def _fill(target: Photo, inside: Hole, fill: Photo, noise: _Floats | None, fading: _Floats | None) -> None:
    """Write the fill into a part of the photo, in place, with a tile of noise that repeats itself. ``fading`` is the
    share of what is filled, where it is under 1."""
    cv2 = require("cv2", "faces")
    height, width = inside.shape
    if noise is not None:
        noise = np.tile(noise, (1, -(-width // noise.shape[1]), 1))[:, :width]
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        old, new = np.ascontiguousarray(target[rows]), np.ascontiguousarray(fill[rows])
        if noise is not None:
            first = top % len(noise)
            new = cv2.add(new, noise[first : first + rows.stop - top], dtype=cv2.CV_8U)
        if fading is not None:
            share = np.minimum(fading[rows], 1)
            new = cv2.blendLinear(new, old, share, 1 - share)
        cv2.copyTo(new, inside[rows].astype(np.uint8), old)
        target[rows] = old


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
