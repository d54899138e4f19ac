"""Which way a head is turned, from the landmarks alone."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.faces.regions import check_landmarks

# Points that move little with expression, in face heights from the root of the nose: x right in the photo, y up, z out
# of the face. The median shape of many faces as MediaPipe sees them, each turned to the front by its own estimate of
# the rotation, and made symmetric.
_MIDLINE = {  # landmark: (y, z)
    10: (0.293, -0.032),
    151: (0.201, -0.010),
    9: (0.100, 0.008),
    168: (0.000, 0.000),
    6: (-0.045, 0.027),
    197: (-0.086, 0.058),
    4: (-0.208, 0.141),
    1: (-0.246, 0.130),
    2: (-0.288, 0.036),
}
_PAIRS = {  # (left in the photo, right): (x of the right one, y, z)
    (33, 263): (0.261, -0.022, -0.133),
    (133, 362): (0.103, -0.033, -0.101),
    (127, 356): (0.422, -0.059, -0.429),
    (234, 454): (0.420, -0.148, -0.455),
    (116, 345): (0.378, -0.125, -0.206),
    (70, 300): (0.344, 0.067, -0.140),
    (54, 284): (0.354, 0.183, -0.222),
}
_INDICES = [*_MIDLINE, *(left for left, _ in _PAIRS), *(right for _, right in _PAIRS)]
_SHAPE = np.array(
    [
        *((0, y, z) for y, z in _MIDLINE.values()),
        *((-x, y, z) for x, y, z in _PAIRS.values()),
        *_PAIRS.values(),
    ]
)
_SHAPE -= _SHAPE.mean(0)
_FIT = np.linalg.pinv(_SHAPE)


class HeadPose(NamedTuple):
    """Angles of a head in degrees; see :func:`head_pose`."""

    yaw: float
    pitch: float
    roll: float


def head_pose(landmarks: NDArray[np.floating]) -> HeadPose:
    """Yaw, pitch and roll of a head in degrees, from its landmarks (478, 2) in pixels.

    An average head X is fitted under a distant camera, ``x ≈ s R X + t``: the least-squares linear map from X to the
    landmarks, and the rotation R = Rz(roll) Ry(yaw) Rx(pitch) next to it. Positive yaw points the nose to the photo's
    right border, positive pitch down, positive roll turns the head counter-clockwise in the photo.

    The angles are those against the line from the camera to the head; the size of the face and its place in the photo
    do not matter. A head has its own proportions: pitch suffers most from them, roll least.

    Raises:
        ValueError: landmarks that are not finite (478, 2) points.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> face = FaceLandmarker().detect(astronaut())[0]
        >>> abs(head_pose(face.landmarks).yaw) < 5
        True

    Reference:
        DeMenthon and Davis, "Model-based object pose in 25 lines of code", IJCV 1995, of whose iteration this is the
        first step.
    """
    return fit_pose(check_landmarks(landmarks))


def fit_pose(points: NDArray[np.floating]) -> HeadPose:
    """:func:`head_pose` without its checks."""
    upwards = points[_INDICES] * (1.0, -1.0)
    linear = (_FIT @ (upwards - upwards.mean(0))).T
    left, _, right = np.linalg.svd(linear, full_matrices=False)
    across, up = left @ right
    forward = np.cross(across, up)
    return HeadPose(
        yaw=float(np.degrees(np.arcsin(np.clip(-forward[0], -1, 1)))),
        pitch=float(np.degrees(np.arctan2(forward[1], forward[2]))),
        roll=float(np.degrees(np.arctan2(up[0], across[0]))),
    )
