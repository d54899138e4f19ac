"""Put what was generated into the photo: a seam that closes, grain like the rest, and no byte changed outside."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Hole, Photo, check_photo

_Floats = NDArray[np.float32]

_MAX_STEP = 48.0
"""Largest correction of colour at the seam, in grey levels: more is cloth or hair, not skin in other light."""
_CALM = 25
"""Percentile of local contrast that counts as grain: skin between the edges, not the edges."""
_FEWEST = 100
"""Pixels from which grain is measured; with fewer there is none to match."""


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
      added until the contrast is that of calm places of the same colour around the hole: a sharp photo's pores and
      sensor noise go on, and a soft photo stays soft.

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
        TypeError: a photo that is not uint8, a hole that is not bool.
        ValueError: sizes that differ; numbers out of range; generated values that are not finite.
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
    window = _window(hole, margin=round(max(8.0, 24 * resolution)))
    part, inside = photo[window].astype(np.float32), hole[window]
    fill = np.asarray(generated[window], np.float32)
    if not np.isfinite(fill).all():
        raise ValueError("generated must be finite in the hole and around it; got NaN or infinity.")
    if not inside.all():
        fill = fill + _seam(part, fill, inside, resolution)
    if grain:
        fill = _add_grain(part, fill, inside, resolution, np.random.default_rng(seed))
    if feather > 0:
        weight = np.minimum(_distance(inside) / (feather + 1), 1)[..., None]
        fill = weight * fill + (1 - weight) * part
    result[window][inside] = fill.round().clip(0, 255).astype(np.uint8)[inside]
    return result


def _seam(photo: _Floats, fill: _Floats, hole: Hole, resolution: float) -> NDArray[np.floating]:
    """The correction (H, W, 3) that closes the step at the border and fades inside, found at the generator's scale."""
    cv2 = require("cv2", "faces")
    factor = max(1.0, resolution)
    height, width = (max(4, round(side / factor)) for side in hole.shape)
    visible = 1 - hole.astype(np.float32)

    def shrink(array: _Floats) -> _Floats:
        small: _Floats = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
        return small

    known = shrink(visible)
    step = shrink((photo - fill) * visible[..., None]) / np.maximum(known, 1e-3)[..., None]
    step = step.clip(-_MAX_STEP, _MAX_STEP)
    near = cv2.dilate((known < 0.99).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    trust = known * near / (1 + (np.abs(step).mean(-1) / (_MAX_STEP / 2)) ** 2)
    spread = _spread(step, np.where(known > 0.5, trust, 0).astype(np.float32))
    reach = math.sqrt(float(hole.sum())) / 6 / factor
    fading = np.exp(-_distance(known < 0.5) / reach)[..., None]
    enlarged: _Floats = cv2.resize(spread * fading, (hole.shape[1], hole.shape[0]), interpolation=cv2.INTER_LINEAR)
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


def _add_grain(photo: _Floats, fill: _Floats, hole: Hole, resolution: float, rng: np.random.Generator) -> _Floats:
    """Top up the finest octaves of the fill with noise to the contrast of calm places of the same colour around it."""
    cv2 = require("cv2", "faces")
    octaves = math.ceil(math.log2(max(1.0, resolution))) + 1
    octaves = min(octaves, int(math.log2(min(hole.shape))) - 2)
    fill = np.where(hole[..., None], fill, photo)  # at the border the photo goes on: no edge that is not in the result
    example, level = cv2.cvtColor(photo / 255, cv2.COLOR_RGB2YCrCb), cv2.cvtColor(fill / 255, cv2.COLOR_RGB2YCrCb)
    inside = hole.astype(np.uint8)
    alike = _alike(example, level, hole).astype(np.uint8)
    bands = []
    for _ in range(octaves):
        size = (level.shape[1], level.shape[0])
        below_example, below = cv2.pyrDown(example), cv2.pyrDown(level)
        band, wanted_band = level - cv2.pyrUp(below, dstsize=size), example - cv2.pyrUp(below_example, dstsize=size)
        amid = cv2.erode(alike, np.ones((5, 5), np.uint8))  # a band's edges reach into their surroundings
        if amid.sum() >= _FEWEST and inside.any():
            wanted, found = _calm_contrast(wanted_band, amid > 0), _calm_contrast(band, inside > 0)
            noise = rng.standard_normal(band.shape, dtype=np.float32)
            noise -= cv2.pyrUp(cv2.pyrDown(noise), dstsize=size)
            band = band + np.sqrt(np.maximum(wanted**2 - found**2, 0)) / noise.std((0, 1)) * noise
        bands.append(band)
        example, level = below_example, below
        inside, alike = (
            cv2.resize(x, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_NEAREST) for x in (inside, alike)
        )
    for band in reversed(bands):
        level = cv2.pyrUp(level, dstsize=(band.shape[1], band.shape[0])) + band
    grained: _Floats = cv2.cvtColor(level.astype(np.float32), cv2.COLOR_YCrCb2RGB) * 255
    return grained


def _alike(photo: _Floats, fill: _Floats, hole: Hole) -> Hole:
    """Pixels outside the hole of the colour that fills it, both YCrCb in 0…1: skin and not what is behind it."""
    cv2 = require("cv2", "faces")
    usual = np.median(fill[hole][:: max(1, int(hole.sum()) // 10_000)], axis=0)
    near = (np.abs(cv2.blur(photo, (5, 5)) - usual) < [0.25, 0.06, 0.06]).all(-1)
    outside = cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    alike: Hole = near & outside
    return alike


def _calm_contrast(band: _Floats, where: Hole) -> _Floats:
    """Root mean square of a band, by channel, in small squares: that of the calm squares (3,)."""
    cv2 = require("cv2", "faces")
    power = cv2.blur(band * band, (7, 7))[where]
    contrast: _Floats = np.sqrt(np.percentile(power[:: max(1, len(power) // 20_000)], _CALM, axis=0)).astype(np.float32)
    return contrast


def _distance(inside: Hole) -> _Floats:
    """Of every pixel inside, to the nearest pixel outside; 0 outside. Beyond the array counts as inside."""
    cv2 = require("cv2", "faces")
    distance: _Floats = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance


def _window(hole: Hole, *, margin: int) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _check(photo: Photo, generated: NDArray[Any], hole: Hole, resolution: float, feather: float) -> None:
    if hole.dtype != np.bool_:
        raise TypeError(f"hole must be bool; got {hole.dtype}. Use hole > 0.5.")
    if hole.shape != photo.shape[:2]:
        raise ValueError(f"hole must be (H, W) = {photo.shape[:2]} as the photo; got {hole.shape}.")
    if generated.shape != photo.shape:
        raise ValueError(f"generated must be {photo.shape} as the photo; got {generated.shape}.")
    if not 0 < resolution < math.inf:
        raise ValueError(f"resolution must be more than 0 photo pixels; got {resolution}.")
    if not 0 <= feather < math.inf:
        raise ValueError(f"feather must be 0 or more pixels; got {feather}.")
