"""Resample by a similarity transform, so that no pixel of the source is passed over."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require


def resample(array: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int], *, border: str) -> NDArray[Any]:
    """Resample by a similarity that maps pixels of ``array`` to pixels of the result, of ``size`` (height, width)."""
    cv2 = require("cv2", "faces")
    borders = {
        "reflect": cv2.BORDER_REFLECT,
        "replicate": cv2.BORDER_REPLICATE,
        "constant": cv2.BORDER_CONSTANT,
    }
    # When shrinking, render at the source's resolution, so that every pixel is met, and average whole blocks. When
    # shrinking by much, most of the averaging comes first: it is cheaper on straight blocks.
    factor = math.ceil(1 / math.sqrt(abs(np.linalg.det(matrix[:, :2]))) - 1e-6)
    if factor >= 4:
        height, width = (max(1, round(side / (factor // 2))) for side in array.shape[:2])
        scale = np.array([array.shape[1] / width, array.shape[0] / height])
        array = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
        matrix = np.column_stack([matrix[:, :2] * scale, matrix[:, :2] @ ((scale - 1) / 2) + matrix[:, 2]])
        factor = math.ceil(1 / math.sqrt(abs(np.linalg.det(matrix[:, :2]))) - 1e-6)
    fine = matrix * factor + [[0, 0, (factor - 1) / 2], [0, 0, (factor - 1) / 2]]
    warped: NDArray[Any] = cv2.warpAffine(
        array,
        fine,
        (size[1] * factor, size[0] * factor),
        flags=cv2.INTER_CUBIC if array.dtype == np.uint8 else cv2.INTER_LINEAR,
        borderMode=borders[border],
    )
    if factor == 1:
        return warped
    shrunk: NDArray[Any] = cv2.resize(warped, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return shrunk


def inverted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back of a similarity (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])
