"""Resample by a similarity transform, so that no pixel of the source is passed over."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require

_LARGEST = 8192  # side of what is enlarged in between


def resample(array: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int], *, border: str) -> NDArray[Any]:
    """Resample by a similarity that maps pixels of ``array`` to pixels of the result, of ``size`` (height, width).

    A hole, bool, comes out as the shares of pixels that it covers, float32."""
    cv2 = require("cv2", "faces")
    borders = {
        "reflect": cv2.BORDER_REFLECT,
        "replicate": cv2.BORDER_REPLICATE,
        "constant": cv2.BORDER_CONSTANT,
    }
    array, matrix = _part_in_use(array, matrix, size)
    if array.dtype == np.bool_:  # not bytes: one pixel of a hole may be less than 1/255 of a pixel of the result
        array = array.astype(np.float32)
    interpolation = cv2.INTER_CUBIC if array.dtype == np.uint8 else cv2.INTER_LINEAR
    if array.dtype == np.uint8 and _growth(matrix) >= 4 and max(array.shape[:2]) <= _LARGEST // 4:
        # Fourfold on the straight grid first: linear steps are smooth enough then, and cost a fifth of cubic ones.
        array = cv2.resize(array, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
        linear = matrix[:, :2] / 4
        matrix = np.column_stack([linear, matrix[:, 2] - linear @ [1.5, 1.5]])
        interpolation = cv2.INTER_LINEAR
    # When shrinking, render at the source's resolution, so that every pixel is met, and average whole blocks. When
    # shrinking by much, most of the averaging comes first: it is cheaper on straight blocks.
    factor = math.ceil(1 / _growth(matrix) - 1e-6)
    if factor >= 4:
        height, width = (max(1, round(side / (factor // 2))) for side in array.shape[:2])
        scale = np.array([array.shape[1] / width, array.shape[0] / height])
        array = cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)
        matrix = np.column_stack([matrix[:, :2] * scale, matrix[:, :2] @ ((scale - 1) / 2) + matrix[:, 2]])
        factor = math.ceil(1 / _growth(matrix) - 1e-6)
    fine = matrix * factor + [[0, 0, (factor - 1) / 2], [0, 0, (factor - 1) / 2]]
    warped: NDArray[Any] = cv2.warpAffine(
        array,
        fine,
        (size[1] * factor, size[0] * factor),
        flags=interpolation,
        borderMode=borders[border],
    )
    if factor == 1:
        return warped
    shrunk: NDArray[Any] = cv2.resize(warped, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return shrunk


def _growth(matrix: NDArray[np.float64]) -> float:
    return math.sqrt(abs(np.linalg.det(matrix[:, :2])))


def _part_in_use(
    array: NDArray[Any], matrix: NDArray[np.float64], size: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The rectangle of the source that the result shows, with what a mirrored border needs, and the way from there."""
    corners = np.array([(x, y) for x in (-1, size[1]) for y in (-1, size[0])], dtype=np.float64)
    back = inverted(matrix)
    reach = corners @ back[:, :2].T + back[:, 2]
    slices, shift = [], []
    for axis, length in ((1, array.shape[0]), (0, array.shape[1])):
        first, last = math.floor(reach[:, axis].min()) - 4, math.ceil(reach[:, axis].max()) + 4
        first, last = min(first, 2 * length - 1 - last), max(last, -first)
        slices.append(slice(max(0, first), min(length, last + 1)))
        shift.append(max(0, first))
    if any(part.start >= part.stop for part in slices):
        return array, matrix
    offset = matrix[:, :2] @ shift[::-1] + matrix[:, 2]
    return array[slices[0], slices[1]], np.column_stack([matrix[:, :2], offset])


def inverted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The way back of a similarity (2, 3)."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])
