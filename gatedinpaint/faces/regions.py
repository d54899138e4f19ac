"""Regions of the face as index sets into the 478 landmarks, and the polygon of a worn face mask."""

import math

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._checks import check_size
from gatedinpaint.image import Hole

LANDMARKS = 478
FOREHEAD, CHIN = 10, 152
_FARTHEST = 1e6  # pixels; beyond, OpenCV's fixed-point coordinates wrap around, and crops would take all memory

MASK_POLYGON = (
    *(234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454),
    *(447, 345, 346, 347, 348, 349, 277, 437, 399, 419, 197, 196, 174, 47, 120, 119, 118, 117, 116, 34, 127),
)
"""Outline of a worn face mask: along the jaw from one ear to the other, and back over the nose."""

JAW = MASK_POLYGON[1:20]
"""The part of :data:`MASK_POLYGON` that runs along the jaw."""

TPS_POINTS = (
    *(93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323),
    *(137, 123, 50, 134, 51, 5, 61, 91, 280),
    *(0, 17),
)
"""Control points that carry the lower face of a reference photo onto another: jaw, cheeks, nose, mouth."""

EYES = (
    (33, 70, 63, 105, 66, 107, 133, 22, 23, 24, 110, 25),
    (263, 300, 293, 334, 296, 336, 362, 252, 253, 254, 339, 255),
)
"""Outlines of the eyes with their brows, where the face shows no skin."""

# Left-right partners, found by comparing the landmarks of photos with those of the mirrored photos: the optimal
# one-to-one assignment of the mean distances is an involution. It turns out that the numbering runs through one half
# of the face and then, in the same order, through the other, so the midline and the irises say all there is.
_MIDLINE = (
    *(0, 1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 94, 151, 152, 164, 168, 175, 195, 197, 199, 200),
)
_MIRROR_PAIRS = np.array(
    [
        *zip([index for index in range(248) if index not in _MIDLINE], range(248, 468), strict=True),
        *((468, 473), (469, 476), (470, 475), (471, 474), (472, 477)),
    ]
)

MIRROR = np.arange(LANDMARKS)
"""(478,) permutation: entry i is the landmark that takes the place of i in a mirrored photo."""
MIRROR[_MIRROR_PAIRS] = _MIRROR_PAIRS[:, ::-1]


def check_landmarks(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return landmarks as float64, or raise unless they are finite (478, 2) points."""
    if np.shape(landmarks) != (LANDMARKS, 2):
        hint = "Pass Face.landmarks, from FaceLandmarker().detect(photo)."
        if np.shape(landmarks) == (LANDMARKS, 3):
            hint = "Leave out the depth: landmarks[:, :2]."
        raise ValueError(
            f"landmarks must be ({LANDMARKS}, 2) points (x, y) in pixels; got {np.shape(landmarks)}. {hint}"
        )
    points = np.asarray(landmarks, dtype=np.float64)
    if not np.isfinite(points).all():
        raise ValueError("landmarks must be finite; got NaN or infinite coordinates.")
    if np.abs(points).max() > _FARTHEST:
        raise ValueError(
            f"landmarks must lie within {_FARTHEST:g} pixels of the photo's corner; got {np.abs(points).max():g}."
        )
    if face_height(points) < 1:
        raise ValueError(
            "landmarks must span at least a pixel from forehead to chin. Pixels, not fractions, are meant."
        )
    return points


def face_height(landmarks: NDArray[np.floating]) -> float:
    """Distance in pixels from the top of the forehead (landmark 10) to the chin (152): the unit of all face lengths.

    Example:
        >>> landmarks = np.zeros((478, 2))
        >>> landmarks[152] = 30, 40
        >>> face_height(landmarks)
        50.0
    """
    return float(np.linalg.norm(landmarks[CHIN] - landmarks[FOREHEAD]))


def mirror_landmarks(landmarks: NDArray[np.floating], width: int) -> NDArray[np.float32]:
    """Landmarks of the horizontally mirrored photo.

    Mirroring moves x to ``width`` − 1 − x (pixel centres lie at integers) and swaps left and right partners.

    Args:
        landmarks: (478, 2) points (x, y) in pixels.
        width: width of the photo in pixels.

    Raises:
        ValueError: landmarks that are not finite (478, 2) points.

    Example:
        >>> landmarks = np.random.default_rng(0).uniform(0, 255, (478, 2))
        >>> bool(np.allclose(mirror_landmarks(mirror_landmarks(landmarks, 256), 256), landmarks))
        True
    """
    mirrored = check_landmarks(landmarks)[MIRROR]
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored.astype(np.float32)


def mask_polygon(
    landmarks: NDArray[np.floating], *, jaw_shift: float = 0.1, top_shift: float = 0.02
) -> NDArray[np.float32]:
    """Outline (42, 2) in pixels of the part of a face that a worn face mask covers.

    The points of :data:`MASK_POLYGON`; those along the jaw move down the face, because a face mask hangs over it, and
    the others up.

    Args:
        landmarks: (478, 2) points (x, y) in pixels.
        jaw_shift: how far the jaw's points move down, in face heights (forehead to chin).
        top_shift: how far the other points move up, in face heights.

    Raises:
        ValueError: landmarks that are not finite (478, 2) points, shifts that are not finite.

    **Departs from the paper**, whose released code moves the points by 40 and 10 pixels along the photo's columns: here
    by fractions of the face's height along its own axis, so that neither the photo's size nor the head's roll matters.

    Example:
        >>> landmarks = np.random.default_rng(0).uniform(0, 255, (478, 2))
        >>> mask_polygon(landmarks).shape
        (42, 2)
    """
    points = check_landmarks(landmarks)
    for name, shift in (("jaw_shift", jaw_shift), ("top_shift", top_shift)):
        if not math.isfinite(shift):
            raise ValueError(f"{name} must be a finite number of face heights; got {shift}.")
    down = points[CHIN] - points[FOREHEAD]
    shifts = np.full((len(MASK_POLYGON), 1), -float(top_shift))
    shifts[1:20] = jaw_shift
    polygon: NDArray[np.float32] = (points[list(MASK_POLYGON)] + shifts * down).astype(np.float32)
    return polygon


def polygon_hole(polygon: NDArray[np.floating], size: tuple[int, int]) -> Hole:
    """Fill a polygon: bool (H, W), True inside and where its outline passes; cut off at the photo's borders.

    Args:
        polygon: (N, 2) points (x, y) in pixels, N ≥ 3; the last is joined to the first.
        size: (height, width) of the photo.

    Raises:
        ValueError: a polygon that is not finite (N, 2) points or has one over 1e7 pixels away, a size that is not
            (H, W).
        ImportError: OpenCV is not installed.

    Example:
        >>> polygon_hole(np.array([[1, 1], [3, 1], [3, 2], [1, 2]]), (4, 5)).astype(int)
        array([[0, 0, 0, 0, 0],
               [0, 1, 1, 1, 0],
               [0, 1, 1, 1, 0],
               [0, 0, 0, 0, 0]])
    """
    polygon = np.asarray(polygon, dtype=np.float64)
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3 or not np.isfinite(polygon).all():
        raise ValueError(f"polygon must be finite (N, 2) points (x, y), N at least 3; got {polygon.shape}.")
    if np.abs(polygon).max() > 10 * _FARTHEST:
        raise ValueError(
            f"polygon must lie within {10 * _FARTHEST:g} pixels of the photo's corner; got {np.abs(polygon).max():g}. "
            "Cut it off nearer to the photo."
        )
    size = check_size(size)
    cv2 = require("cv2", "faces")
    filled = np.zeros(size, dtype=np.uint8)
    fraction_bits = 4  # fillPoly takes fixed-point coordinates
    fixed = np.round(polygon * 2**fraction_bits).astype(np.int32)
    cv2.fillPoly(filled, [fixed], 1, shift=fraction_bits)
    hole: Hole = filled.astype(bool)
    return hole
