"""Whether a face shows its lips, which every face mask hides."""

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._face_window import SIDE
from gatedinpaint.faces.regions import polygon_hole

_LIPS = [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]

# How much redder and darker (a* − L*/2) lips are than around them; less than this are folds and shade of a face mask.
_VISIBLE = 1.5


def lips_visible(lab: NDArray[np.float32], landmarks: NDArray[np.float64]) -> bool:
    """Whether the place of the lips in a face window, L*a*b* (SIDE, SIDE, 3), is redder or darker than around it."""
    cv2 = require("cv2", "faces")
    lips = polygon_hole(landmarks[_LIPS], (SIDE, SIDE))
    near, far = (cv2.dilate(lips.astype(np.uint8), np.ones((side, side), np.uint8)) > 0 for side in (5, 13))
    around = far & ~near
    if not lips.any() or not around.any():
        return False
    difference = np.median(lab[lips], axis=0) - np.median(lab[around], axis=0)
    return bool(difference[1] - difference[0] / 2 > _VISIBLE)
