"""Landmarks from elsewhere than MediaPipe: a file, a person's hand, another detector."""

from collections.abc import Callable, Sequence

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
        ValueError: landmarks that are not finite (478, 2) or (478, 3) points; from a function, when it is asked.

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
        return list(self._faces)


class _Asked:
    def __init__(self, source: Callable[[Photo], Points]) -> None:
        self._source = source

    def detect(self, photo: Photo) -> list[Face]:
        return _faces(self._source(photo))


def _faces(points: Points) -> list[Face]:
    several = [points] if isinstance(points, np.ndarray) and points.ndim == 2 else points
    faces = [_face(np.asarray(each)) for each in several]
    return sorted(faces, key=lambda face: float(np.ptp(face.landmarks, axis=0).prod()), reverse=True)


def _face(points: NDArray[np.floating]) -> Face:
    has_depth = points.shape == (LANDMARKS, 3)
    landmarks = check_landmarks(points[:, :2] if has_depth else points)
    depth = points[:, 2] if has_depth else np.full(LANDMARKS, np.nan)
    return Face(landmarks.astype(np.float32), depth.astype(np.float32), *head_pose(landmarks))
