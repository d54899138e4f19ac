"""Grain for generated pixels: the noise that a photo has and they lack."""

import math

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Hole, Photo

_Floats = NDArray[np.float32]

_CALM = 25
"""Percentile of local contrast that counts as grain: skin between the edges, not the edges."""
_SQUARE, _FEWEST = 6, 6
"""Side of the squares in which grain is measured, and how many it takes; with fewer there is none to match."""
_NEAR = np.array([64.0, 15.0, 15.0])
"""Colours count as alike up to this difference in Y, Cr and Cb."""
_TILE = 512


def missing_grain(photo: Photo, fill: _Floats, hole: Hole, resolution: float, rng: np.random.Generator) -> _Floats:
    """Noise (H, W, 3) that the fill lacks, octave by octave, against calm places of its colour around the hole.

    Contrasts of independent textures add up in squares, so the noise gets √(wanted² − own²).
    """
    cv2 = require("cv2", "faces")
    finer_than_generated = math.ceil(math.log2(max(1.0, resolution)))
    octaves = min(finer_than_generated, int(math.log2(min(hole.shape))) - 2, int(math.log2(_TILE)) - 2)
    level = cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb)
    own = cv2.cvtColor(cv2.add(fill, 0.0, dtype=cv2.CV_8U), cv2.COLOR_RGB2YCrCb)
    alike, within = _alike(level, fill, hole).astype(np.uint8), hole.astype(np.uint8)
    # One tile of noise, repeated: its ends meet, and no eye finds a period of 512 pixels in grain.
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
    grain -= grain.mean((0, 1))
    back = np.array([[1, 1, 1], [1.403, -0.714, 0], [0, -0.344, 1.773]], np.float32)  # YCrCb → RGB, JPEG's
    repeats = [-(-side // _TILE) for side in hole.shape]
    return np.tile(grain @ back, (*repeats, 1))[: hole.shape[0], : hole.shape[1]]


def _up(periodic: _Floats) -> _Floats:
    """Twice the size, of an array whose opposite borders meet; OpenCV's pyrUp knows no such border."""
    cv2 = require("cv2", "faces")
    wide = np.pad(periodic, ((2, 2), (2, 2), (0, 0)), mode="wrap")
    doubled: _Floats = cv2.pyrUp(wide)[4:-4, 4:-4]
    return doubled


def _alike(photo: Photo, fill: _Floats, hole: Hole) -> Hole:
    """Pixels outside the hole of the colour that fills it: skin and not what is behind it. ``photo`` is YCrCb."""
    cv2 = require("cv2", "faces")
    inner = fill[hole]
    inner = inner[:: max(1, len(inner) // 10_000)].clip(0, 255).astype(np.uint8)
    usual = np.median(cv2.cvtColor(inner[None], cv2.COLOR_RGB2YCrCb)[0], axis=0)
    low, high = usual - _NEAR, usual + _NEAR
    near = cv2.inRange(cv2.blur(photo, (5, 5)), low, high) > 0
    outside = cv2.dilate(hole.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    alike: Hole = near & outside
    return alike


def _calm_contrast(level: Photo, where: NDArray[np.uint8]) -> tuple[_Floats, Photo]:
    """Root mean square of the finest octave, by channel, in the calm ones of small squares (3,), and the next level.

    With too few squares it is 0.
    """
    cv2 = require("cv2", "faces")
    below = cv2.pyrDown(level)
    band = cv2.subtract(level, cv2.pyrUp(below, dstsize=level.shape[1::-1]), dtype=cv2.CV_32F)
    size = band.shape[1] // _SQUARE, band.shape[0] // _SQUARE
    if min(size) < 1:
        return np.zeros(3, np.float32), below
    power = cv2.resize(cv2.multiply(band, band), size, interpolation=cv2.INTER_AREA)
    # A band's edges reach into their surroundings.
    amid = cv2.erode(where, np.ones((5, 5), np.uint8), borderValue=1).astype(np.float32)
    squares = power[cv2.resize(amid, size, interpolation=cv2.INTER_AREA) > 0.99]
    if len(squares) < _FEWEST:
        return np.zeros(3, np.float32), below
    return np.sqrt(np.percentile(squares, _CALM, axis=0)).astype(np.float32), below
