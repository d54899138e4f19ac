"""Landmarks of a face under a worn face mask."""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.faces.regions import check_landmarks

_OUTER_CORNERS = (33, 263)  # of the eyes
_PLANE = np.array([1, 1j])  # (x, y) → x + iy


def uncover_landmarks(landmarks: NDArray[np.floating]) -> NDArray[np.float32]:
    r"""Where the landmarks of a face that wears a face mask really are, from where a landmark model believes them.

    The model has learned on bare faces. Under cloth it draws the lower face together: it believes the chin 6 % of the
    face's height too high, the mouth too wide and closed. These errors are much the same on all faces, so their mean is
    taken away,

    .. math:: p_i' = p_i + s\,R\,m_i

    with the size s of the face (root mean square distance of its landmarks from their centre), its roll R, and means
    m that are the same on both halves of the face. ``python -m benchmarks.faces_under_mask`` measures and makes them.

    Args:
        landmarks: (478, 2) points (x, y) in pixels, detected by MediaPipe's Face Landmarker on the covered face.

    Returns:
        (478, 2), for cropping the face and for warping a reference onto it. :func:`find_face_mask` takes the landmarks
        as they were detected.

    Raises:
        ValueError: landmarks that are not finite (478, 2) points.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker, draw_face_mask
        >>> landmarker = FaceLandmarker()
        >>> bare = landmarker.detect(astronaut())[0].landmarks
        >>> masked, _ = draw_face_mask(astronaut(), bare)
        >>> believed = landmarker.detect(masked)[0].landmarks
        >>> chin = 152
        >>> bool(abs(uncover_landmarks(believed) - bare)[chin, 1] < abs(believed - bare)[chin, 1])
        True
    """
    points = check_landmarks(landmarks)
    moved = points @ _PLANE + _face_unit(points) * _mean_errors()
    return np.stack([moved.real, moved.imag], axis=1).astype(np.float32)


def _face_unit(landmarks: NDArray[np.float64]) -> complex:
    """The face's size and roll as one complex number x + iy: it turns sizes of an upright face into pixels."""
    places = landmarks @ _PLANE
    left, right = places[list(_OUTER_CORNERS)]
    return complex(np.std(places) * (right - left) / max(abs(right - left), 1e-6))


@cache
def _mean_errors() -> NDArray[np.complex128]:
    means: NDArray[np.complex128] = np.load(Path(__file__).with_name("under_mask.npy")) @ _PLANE
    return means
