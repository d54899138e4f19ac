"""Which control points of a face can be seen, told from the landmarks alone."""

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.faces.regions import MIRROR, TPS_POINTS

# Beside each point of the jaw, on the photo's left: the next one towards the chin, and a neighbour on the cheek. Seen
# from outside the face such a triangle runs counter-clockwise; its partner on the other side runs clockwise.
_LEFT_JAW = np.array(
    [
        *((93, 132, 177), (132, 58, 177), (58, 172, 215), (172, 136, 138), (136, 150, 135)),
        *((150, 149, 169), (149, 176, 170), (176, 148, 140), (148, 152, 171)),
    ]
)


def visible_control_points(landmarks: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each of :data:`TPS_POINTS`, whether the head's own turn leaves it in sight: bool (30,).

    The landmarks of a face turned away are those of its surface in space, so the hidden strip of the jaw lies folded
    back behind the cheek: a triangle there shows its back, and its area changes sign. Points of the cheeks, the nose,
    the mouth and the chin stay in sight in any photo in which landmarks are found.
    """
    hidden = {
        int(triangle[0])
        for triangles, turn in ((_LEFT_JAW, 1.0), (MIRROR[_LEFT_JAW], -1.0))
        for triangle in triangles
        if turn * _signed_area(landmarks[triangle]) > 0
    }
    return np.array([index not in hidden for index in TPS_POINTS])


def _signed_area(corners: NDArray[np.float64]) -> float:
    """Twice the area of a triangle (3, 2): negative where it runs counter-clockwise in a photo, where y points down."""
    (ax, ay), (bx, by) = corners[1:] - corners[0]
    return float(ax * by - ay * bx)
