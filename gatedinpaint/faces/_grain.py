"""Grain for generated pixels: the noise that a photo has and they lack."""

import math

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Hole, Photo

_Floats = NDArray[np.float32]

_CALM = 30
"""Percentile of local contrast that counts as grain: skin between the edges, not the edges."""
_SQUARE, _FEWEST = 6, 6
"""Side of the squares in which grain is measured, and how many it takes; with fewer there is none to match."""
_SQUARES_HIGH, _ENOUGH = 8, 500_000  # a strip, and of how many pixels strips are looked at
_NEAR = np.array([64.0, 15.0, 15.0])
"""Colours count as alike up to this difference in Y, Cr and Cb."""
_TILE = 512


def missing_grain(photo: Photo, fill: Photo, hole: Hole, resolution: float, rng: np.random.Generator) -> _Floats | None:
    """Noise that the fill lacks, octave by octave, against calm places of its colour around the hole.

    Contrasts of independent textures add up in squares, so the noise gets √(wanted² − own²).

    Returns:
        One tile of it, (512, 512, 3), to be repeated: its ends meet, and no eye finds a period of 512 pixels in grain.
        None where nothing is missing.
    """
    cv2 = require("cv2", "faces")
    finer_than_generated = math.ceil(math.log2(max(1.0, resolution)))
    octaves = min(finer_than_generated, int(math.log2(min(hole.shape))) - 2, int(math.log2(_TILE)) - 2)
    level = cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb)
    own = cv2.cvtColor(fill, cv2.COLOR_RGB2YCrCb)
    alike, within = _alike(level, own, hole).astype(np.uint8), hole.astype(np.uint8)
    grain = np.zeros((_TILE, _TILE, 3), np.float32)
    for octave in range(octaves):
        wanted, level = _calm_contrast(level, alike)
        present, own = _calm_contrast(own, within)
        contrast = np.sqrt(np.maximum(wanted**2 - present**2, 0))
        if contrast.any():
            noise = rng.standard_normal((_TILE >> octave, _TILE >> octave, 3), dtype=np.float32)
            noise -= _up(cv2.pyrDown(noise, borderType=cv2.BORDER_WRAP))
            noise *= contrast / noise.std((0, 1))
            for _ in range(octave):
                noise = _up(noise)
            grain += noise
        alike, within = (
            cv2.resize(where, level.shape[1::-1], interpolation=cv2.INTER_NEAREST) for where in (alike, within)
        )
    if not grain.any():
        return None
    grain -= grain.mean((0, 1))
    back = np.array([[1, 1, 1], [1.403, -0.714, 0], [0, -0.344, 1.773]], np.float32)  # YCrCb → RGB, JPEG's
    return grain @ back


def _up(periodic: _Floats) -> _Floats:
    """Twice the size, of an array whose opposite borders meet; OpenCV's pyrUp knows no such border."""
    cv2 = require("cv2", "faces")
    wide = np.pad(periodic, ((2, 2), (2, 2), (0, 0)), mode="wrap")
    doubled: _Floats = cv2.pyrUp(wide)[4:-4, 4:-4]
    return doubled


def _alike(photo: Photo, fill: Photo, hole: Hole) -> Hole:
    """Pixels outside the hole of the colour that fills it: skin and not what is behind it. Both are YCrCb."""
    cv2 = require("cv2", "faces")
    step = max(1, math.isqrt(hole.size // 40_000))
    inner = fill[::step, ::step][hole[::step, ::step]]
    if not len(inner):
        inner = fill[hole]
    usual = np.median(inner, axis=0)
    low, high = usual - _NEAR, usual + _NEAR
    near = cv2.inRange(cv2.blur(photo, (5, 5)), low, high) > 0
    outside = cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    alike: Hole = near & outside
    return alike


def _calm_contrast(level: Photo, where: NDArray[np.uint8]) -> tuple[_Floats, Photo]:
    """Root mean square of the finest octave, by channel, in the calm ones of small squares (3,), and the next level.

    With too few squares it is 0. Of a large level only every so manieth strip is looked at.
    """
    cv2 = require("cv2", "faces")
    below = cv2.pyrDown(level)
    height, width = level.shape[:2]
    share = max(1, height * width // _ENOUGH)
    strip = _SQUARE * _SQUARES_HIGH if share > 1 else height
    skip = strip * share
    found = [_calm_squares(level, below, where, slice(top, top + strip)) for top in range(0, height, skip)]
    squares = np.concatenate(found)
    if len(squares) < _FEWEST:
        return np.zeros(3, np.float32), below
    return np.sqrt(np.percentile(squares, _CALM, axis=0)).astype(np.float32), below


def _calm_squares(level: Photo, below: Photo, where: NDArray[np.uint8], rows: slice) -> _Floats:
    """Mean square of the finest octave, by channel, in the squares of a strip that lie amid ``where``, (N, 3)."""
    cv2 = require("cv2", "faces")
    before, after = max(0, rows.start - 4), min(rows.stop + 4, level.shape[0])  # filters reach beyond the strip
    fine, inner = level[before:after], slice(rows.start - before, rows.stop - before)
    coarse = below[before // 2 : (after + 1) // 2]
    # A band's edges reach into their surroundings.
    amid = cv2.erode(where[before:after], np.ones((5, 5), np.uint8), borderValue=1)[inner]
    size = amid.shape[1] // _SQUARE, amid.shape[0] // _SQUARE
    if min(size) < 1 or not amid.any():
        return np.zeros((0, 3), np.float32)
    band = cv2.subtract(fine, cv2.pyrUp(coarse, dstsize=fine.shape[1::-1]), dtype=cv2.CV_32F)[inner]
    power = cv2.resize(cv2.multiply(band, band), size, interpolation=cv2.INTER_AREA)
    squares: _Floats = power[cv2.resize(amid.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.99]
    return squares
