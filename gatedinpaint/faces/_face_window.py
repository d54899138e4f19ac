"""The window in which a face mask is looked for: the lower face, upright, always at the same size."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._resample import resample
from gatedinpaint.faces.align import AlignedFace
from gatedinpaint.faces.regions import CHIN, EYES, FOREHEAD, MASK_POLYGON, face_height, polygon_hole
from gatedinpaint.image import Hole, Photo

# With every face at one height, sizes are plain pixels and a photo gives the same hole at any resolution.
HEIGHT = 144
"""Height of the face in the window, from forehead to chin, in pixels."""
SIDE = 288
"""Side of the window in pixels."""

# Outline of the part of the face that stays bare: hairline, cheekbones, and the bridge of the nose.
_UPPER_FACE = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 447, 346, 347, 348, 349, 399),
    *(197, 174, 120, 119, 118, 117, 227, 127, 162, 21, 54, 103, 67, 109),
)


def face_window(photo: Photo, landmarks: NDArray[np.float64]) -> AlignedFace:
    """Cut out the surroundings of the mask polygon, (SIDE, SIDE), continued by its border outside the photo."""
    unit = face_height(landmarks)
    down = (landmarks[CHIN] - landmarks[FOREHEAD]) / unit
    linear = HEIGHT / unit * np.array([[down[1], -down[0]], [down[0], down[1]]])
    offset = (SIDE - 1) / 2 - linear @ landmarks[list(MASK_POLYGON)].mean(0)
    matrix = np.column_stack([linear, offset])
    window = AlignedFace(
        np.empty((SIDE, SIDE, 3), np.uint8),
        (landmarks @ linear.T + offset).astype(np.float32),
        matrix,
        (photo.shape[0], photo.shape[1]),
    )
    # Only what the window shows is read, and whole blocks of a large photo are averaged before it is turned.
    left, top, right, bottom = _rectangle(window, np.ones((SIDE, SIDE), bool), margin=3)
    if left >= right or top >= bottom:
        return window
    part, shift = photo[top:bottom, left:right], np.array([left, top])
    factor = max(1, int(unit // (2 * HEIGHT)))
    size = max(1, part.shape[1] // factor), max(1, part.shape[0] // factor)
    if factor > 1:
        cv2 = require("cv2", "faces")
        scale = np.array([part.shape[1], part.shape[0]]) / size
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        shift = shift + (scale - 1) / 2
        linear = linear * scale
    window.photo[:] = resample(
        part, np.column_stack([linear, matrix[:, :2] @ shift + matrix[:, 2]]), (SIDE, SIDE), border="replicate"
    )
    return window


def bare_skin(landmarks: NDArray[np.floating]) -> Hole:
    """Where the window shows skin that no face mask covers: forehead, temples, cheekbones; not the eyes."""
    skin = polygon_hole(landmarks[list(_UPPER_FACE)], (SIDE, SIDE))
    for eye in EYES:
        skin &= ~polygon_hole(landmarks[list(eye)], (SIDE, SIDE))
    return skin


def photo_shown(window: AlignedFace) -> Hole:
    """Where the window shows the photo; beyond it the border only goes on, and is no evidence of anything."""
    y, x = np.mgrid[:SIDE, :SIDE]
    places = window.to_source(np.stack([x, y], -1).reshape(-1, 2))
    height, width = window.source_size
    within = (places > -0.5) & (places < (width - 0.5, height - 0.5))
    shown: Hole = (within[:, 0] & within[:, 1]).reshape(SIDE, SIDE)
    return shown


def disc(radius: int) -> Any:
    """A disc of pixels, for morphology in the window."""
    cv2 = require("cv2", "faces")
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def add_to_hole(hole: Hole, window: AlignedFace, found: Hole) -> None:
    """Add pixels found in the window to a hole of the photo, in place."""
    cv2 = require("cv2", "faces")
    left, top, right, bottom = _rectangle(window, found, margin=1)
    if left >= right or top >= bottom:
        return
    to_window: Any = window.matrix + np.column_stack([np.zeros((2, 2)), window.matrix[:, :2] @ (left, top)])
    share = cv2.warpAffine(
        found.astype(np.float32),
        to_window,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    hole[top:bottom, left:right] |= share > 0.5


def _rectangle(window: AlignedFace, found: Hole, *, margin: int) -> tuple[int, int, int, int]:
    """Rectangle of the photo (left, top, right, bottom) around pixels of the window, cut off at the photo's borders."""
    y, x = np.nonzero(found.any(1))[0], np.nonzero(found.any(0))[0]
    if not len(x):
        return 0, 0, 0, 0
    corners = window.to_source(
        np.array([[a, b] for a in (x[0] - margin, x[-1] + margin) for b in (y[0] - margin, y[-1] + margin)])
    )
    left, top = (max(0, math.floor(value)) for value in corners.min(0))
    height, width = window.source_size
    right, bottom = corners.max(0)
    return left, top, min(width, math.ceil(right) + 1), min(height, math.ceil(bottom) + 1)
