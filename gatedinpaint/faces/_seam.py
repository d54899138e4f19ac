"""The seam of what is pasted: a correction of colour that closes the step at the border, and fades inside."""

import math

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Hole, Photo

_Floats = NDArray[np.float32]

_MAX_STEP = 48.0
"""Largest correction of colour at the seam, in grey levels: more is cloth or hair, not skin in other light."""
_ROWS = 64  # at a time


def seam(photo: Photo, fill: Photo, hole: Hole, resolution: float) -> _Floats:
    """The correction (h, w, 3) that closes the step at the border and fades inside, on the generator's grid."""
    cv2 = require("cv2", "faces")
    factor = max(1.0, resolution)
    height, width = (max(4, round(side / factor)) for side in hole.shape)
    visible = (~hole).astype(np.uint8)

    # In whole numbers, 64 to a grey level: half the memory of floats, and what is left over does not show.
    difference = cv2.copyTo(cv2.addWeighted(photo, 64, fill, -64, 0, dtype=cv2.CV_16S), visible)
    known, sums = (
        cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 64
        for array in (visible.astype(np.float32) * 64, difference)
    )
    step = sums / np.maximum(known, 1e-3)[..., None]
    step = step.clip(-_MAX_STEP, _MAX_STEP)
    near = cv2.dilate((known < 0.99).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    trust = known * near / (1 + (np.abs(step).mean(-1) / (_MAX_STEP / 2)) ** 2)
    spread = _spread(step, np.where(known > 0.5, trust, 0).astype(np.float32))
    reach = math.sqrt(float(hole.sum())) / 6 / factor
    fading = np.exp(-distance_inside(known < 0.5) / reach)[..., None]
    correction: _Floats = (spread * fading).astype(np.float32)
    return correction


def corrected(fill: Photo, correction: _Floats) -> Photo:
    """The fill with a correction that is given on a coarser grid; by rows, which stay in the processor's cache."""
    cv2 = require("cv2", "faces")
    corrected = np.empty_like(fill)
    height, width = fill.shape[:2]
    scale = np.divide(correction.shape[1::-1], (width, height))
    for top in range(0, height, _ROWS):
        rows = slice(top, min(top + _ROWS, height))
        to_grid = np.array([[scale[0], 0, 0.5 * scale[0] - 0.5], [0, scale[1], (top + 0.5) * scale[1] - 0.5]])
        fine = cv2.warpAffine(
            correction,
            to_grid,
            (width, rows.stop - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        corrected[rows] = cv2.add(np.ascontiguousarray(fill[rows]), fine, dtype=cv2.CV_8U)
    return corrected


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


def distance_inside(inside: Hole) -> _Floats:
    """Of every pixel inside, to the nearest pixel outside; 0 outside. Beyond the array counts as inside."""
    cv2 = require("cv2", "faces")
    distance: _Floats = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance
