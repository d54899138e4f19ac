"""Landmarks from elsewhere than MediaPipe: a file, a person's hand, another detector."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.faces.face import Face, Landmarker
from gatedinpaint.faces.pose import head_pose
from gatedinpaint.faces.regions import LANDMARKS, check_landmarks
from gatedinpaint.image import Photo

Points = NDArray[np.floating] | Sequence[NDArray[np.floating]]
"""Landmarks of one face (478, 2) or (478, 3), or of several: (N, 478, 2), (N, 478, 3) or a list. The third is depth."""


def landmarks_from(source: Points | Callable[[Photo], Points]) -> Landmarker:
    """A :class:`Landmarker` that knows the landmarks already, or asks a function of yours for them.

    Everything in :mod:`gatedinpaint.faces` that takes a landmarker takes this one, and MediaPipe need not be installed.

    Args:
        source: landmarks (x, y) in pixels, or (x, y, depth), of one face or of several, which are given back for every
            photo, or a function from a photo to such landmarks; an empty list for no face.

    Raises:
        TypeError: anything but arrays, such as a :class:`Face`; from a function, when it is asked.
        ValueError: landmarks that are not finite (478, 2) or (478, 3) points; likewise.

    Example:
        >>> points = np.random.default_rng(0).uniform(0, 64, (478, 2))
        >>> (face,) = landmarks_from(points).detect(np.zeros((64, 64, 3), np.uint8))
        >>> bool(np.allclose(face.landmarks, points, atol=1e-4)), bool(np.isnan(face.depth).all())
        (True, True)
        >>> landmarks_from(lambda photo: []).detect(np.zeros((64, 64, 3), np.uint8))
        []
    """
    return _Asked(source) if callable(source) else _Known(_faces(source))


class _Known:
    def __init__(self, faces: list[Face]) -> None:
        self._faces = faces

    def detect(self, photo: Photo) -> list[Face]:
        return [replace(face, landmarks=face.landmarks.copy(), depth=face.depth.copy()) for face in self._faces]


class _Asked:
    def __init__(self, source: Callable[[Photo], Points]) -> None:
        self._source = source

    def detect(self, photo: Photo) -> list[Face]:
        return _faces(self._source(photo))


def _faces(points: Points) -> list[Face]:
    if not isinstance(points, (np.ndarray, Sequence)):
        hint = "an empty list for no face" if points is None else "its landmarks, as in face.landmarks"
        kind = type(points).__name__
        raise TypeError(f"landmarks must be an array (478, 2) or a list of them; got {kind}. Pass {hint}.")
    several = [points] if len(points) and np.ndim(points[0]) == 1 else points  # one face, perhaps as nested lists
    faces = [_face(each) for each in several]
    return sorted(faces, key=lambda face: float(np.ptp(face.landmarks, axis=0).prod()), reverse=True)


def _face(points: object) -> Face:
    if isinstance(points, Face):
        raise TypeError("landmarks must be arrays (478, 2); got a Face. Pass [face.landmarks for face in faces].")
    values = np.asarray(points)
    has_depth = values.shape == (LANDMARKS, 3)
    landmarks = check_landmarks(values[:, :2] if has_depth else values)
    depth = values[:, 2] if has_depth else np.full(LANDMARKS, np.nan)
    return Face(landmarks.astype(np.float32), depth.astype(np.float32), *head_pose(landmarks))
