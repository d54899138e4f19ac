"""Landmarks under a face mask, found where the face has been painted."""

import numpy as np

from gatedinpaint.faces import Landmarker, face_height

_FARTHEST = 0.15
"""Mean distance from what was believed, in face heights, from which on another face was found, or none."""


def painted_landmarks(landmarker: Landmarker, painted: np.ndarray, believed: np.ndarray) -> np.ndarray:
    """Where the landmarks of a covered face are: looked for once more where its hole has been painted.

    A landmarker that sees cloth guesses what lies under it; one that sees a face that fits the rest of the photo does
    better. ``python -m benchmarks.second_photo_limit`` prints what that is worth to a reference that is warped by them.

    Args:
        landmarker: one that looks for faces in the photo that it is given.
        painted: uint8 RGB (H, W, 3), by :func:`paint_quickly`.
        believed: the landmarks (478, 2) so far, in pixels of ``painted``.

    Returns:
        (478, 2); those believed where no face is found near them.
    """
    found = [face.landmarks for face in landmarker.detect(painted)]
    distances = [float(np.linalg.norm(points - believed, axis=1).mean()) for points in found]
    if not found or min(distances) > _FARTHEST * face_height(believed):
        return believed
    return found[int(np.argmin(distances))]
