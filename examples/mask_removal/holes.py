"""Random holes like those that worn face masks leave."""

import cv2
import numpy as np

from gatedinpaint.faces import MASK_STYLES, face_height, face_mask_hole, mask_polygon, polygon_hole

DRAWN_SHARE = 0.6
"""Share of holes from landmarks that have the outline of a drawn face mask; the others are polygons."""
FOUND_SHARE = 0.25
"""Share of holes that are the one found by the segmenter, among the samples that have one."""


def random_hole(
    landmarks: np.ndarray, size: tuple[int, int], rng: np.random.Generator, *, found: np.ndarray | None = None
) -> np.ndarray:
    """A hole like those of worn masks, jittered and dilated: the outline of a drawn one, the lower-face polygon, or,
    for a share of the faces that have one, a hole that the segmenter found."""
    unit = face_height(landmarks)
    if found is not None and rng.random() < FOUND_SHARE:
        hole = _moved(found, rng.normal(0, 0.01 * unit, 2), rng.uniform(0.96, 1.04))
    else:
        hole = _hole_of_landmarks(landmarks, size, unit, rng)
    radius = int(rng.integers(0, 1 + round(0.04 * unit)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.dilate(hole.astype(np.uint8), kernel).astype(bool)


def _hole_of_landmarks(
    landmarks: np.ndarray, size: tuple[int, int], unit: float, rng: np.random.Generator
) -> np.ndarray:
    moved = landmarks + rng.normal(0, 0.012 * unit, landmarks.shape) + rng.normal(0, 0.01 * unit, 2)
    if rng.random() < DRAWN_SHARE:
        style, seed = MASK_STYLES[rng.integers(len(MASK_STYLES))], int(rng.integers(2**31))
        return face_mask_hole(moved, size, style=style, seed=seed, ear_loops=rng.random() < 0.5)
    polygon = mask_polygon(moved, jaw_shift=rng.uniform(0.0, 0.18), top_shift=rng.uniform(-0.06, 0.06))
    return polygon_hole(polygon, size)


def _moved(hole: np.ndarray, shift: np.ndarray, scale: float) -> np.ndarray:
    """The hole shifted by (x, y) pixels and scaled about its middle."""
    lines, columns = np.nonzero(hole)
    middle = np.array([columns.mean(), lines.mean()]) if len(lines) else np.zeros(2)
    matrix = np.column_stack([scale * np.eye(2), middle * (1 - scale) + shift])
    return cv2.warpAffine(hole.astype(np.uint8) * 255, matrix, hole.shape[::-1]) > 127
