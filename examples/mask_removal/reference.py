"""The reference as the generator sees it, in training and in use: warped, relit, and left out where it is unsure."""

import cv2
import numpy as np

from gatedinpaint.faces import warp_reference

LEAST_CONFIDENCE = 0.2
"""What is shown with less is mostly background: measured by ``python -m benchmarks.faces_reference``."""


def reference_channels(
    second: np.ndarray, second_landmarks: np.ndarray, photo: np.ndarray, landmarks: np.ndarray, hole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Warp a second photo of a person onto the first.

    Args:
        second: uint8 RGB of any size, and its landmarks (478, 2).
        second_landmarks: in pixels of ``second``.
        photo: uint8 RGB (H, W, 3), the first photo, and its landmarks.
        landmarks: in pixels of ``photo``.
        hole: bool (H, W); no colour of the photo is looked at in there.

    Returns:
        The warped photo, uint8 (H, W, 3), black where it is not known, and where it is known, bool (H, W). What is
        unsure but surrounded by what is not counts as known: a gap in the middle of a cheek shows in the result.
    """
    warped = warp_reference(second, second_landmarks, landmarks, photo.shape[:2], target=photo, hole=hole)
    sure = warped.known & (warped.confidence > LEAST_CONFIDENCE)
    known = warped.known & _without_gaps(sure)
    return np.where(known[..., None], warped.photo, np.uint8(0)), known


def _without_gaps(area: np.ndarray) -> np.ndarray:
    """The area and all that it surrounds, bool (H, W)."""
    outlines, _ = cv2.findContours(area.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(area.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return filled > 0
