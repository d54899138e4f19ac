"""Where in the crop a face stands, and how its photo looks once a face mask has been found on it: in use neither is as
neat as in the crops of a training set."""

import math

import cv2
import numpy as np

from gatedinpaint.faces import MASK_STYLES, draw_face_mask, face_height, face_mask_hole

LEAST_GROWTH, MOST_GROWTH = -0.015, 0.05
"""By how much a found hole is larger than the cloth, as a share of the face's height: what it misses stays seen."""


def placed(
    photo: np.ndarray, landmarks: np.ndarray, found: np.ndarray | None, most: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Move, scale and turn the photo, its landmarks and the hole that was found in it, about its middle.

    Args:
        photo: uint8 RGB (H, W, 3).
        landmarks: (..., 2) in pixels.
        found: bool (H, W), or None.
        most: largest shift as a share of the side; the scale changes by as much, the angle by as much of a radian.
        rng: the source of randomness.

    Returns:
        The same three. What comes in from beyond the border is the photo mirrored there.
    """
    height, width = photo.shape[:2]
    x, y, stretch, angle = rng.uniform(-most, most, 4)
    cosine, sine = math.exp(stretch) * math.cos(angle), math.exp(stretch) * math.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.column_stack([turn, middle - turn @ middle + [x * width, y * height]])

    def warp(picture: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)

    moved = (landmarks @ turn.T + matrix[:, 2]).astype(landmarks.dtype)
    return warp(photo), moved, None if found is None else warp(found.astype(np.uint8) * 255) > 127


def with_remains(photo: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """What is left around a hole that was found on a worn face mask: ear loops, and slips of cloth at its border.

    Returns:
        The photo, in the hole as it is and around it with the remains of a drawn face mask; the hole, bool (H, W).
    """
    unit, size = face_height(landmarks), photo.shape[:2]
    style, seed = MASK_STYLES[rng.integers(len(MASK_STYLES))], int(rng.integers(2**31))
    masked, worn = draw_face_mask(photo, landmarks, style=style, seed=seed, ear_loops=rng.random() < 0.7)
    if rng.random() < 0.6:  # the loops are not found
        worn = face_mask_hole(landmarks, size, style=style, seed=seed, ear_loops=False)
    hole = _grown(worn, unit * rng.uniform(LEAST_GROWTH, MOST_GROWTH))
    return np.where(hole[..., None], photo, masked), hole


def _grown(hole: np.ndarray, radius: float) -> np.ndarray:
    """The hole with all that is nearer than ``radius`` pixels, or without where that is negative."""
    inside = radius < 0
    distance = cv2.distanceTransform(np.uint8(hole if inside else ~hole), cv2.DIST_L2, cv2.DIST_MASK_5)
    return distance > -radius if inside else distance <= radius
