"""Densities of colour: smoothed histograms in L*a*b*, and the colour under every pixel as a cell of them."""

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Photo

_CELLS = 24
_RANGE = 60  # a* and b* from −60 to 60: what lies beyond shares the outermost cells
# A Gaussian of one cell (4 in L*, 5 in a* and b*): each column spreads one cell's count.
_SPREAD = np.exp(-0.5 * (np.arange(_CELLS)[:, None] - np.arange(_CELLS)) ** 2)
_SPREAD /= _SPREAD.sum(0)


def to_lab(photo: Photo, *, blur: float) -> NDArray[np.float32]:
    """L* from 0 to 100, a* and b*, (H, W, 3), of the photo blurred by a Gaussian of that many pixels."""
    cv2 = require("cv2", "faces")
    smooth = cv2.GaussianBlur(photo, (0, 0), blur).astype(np.float32) / 255
    lab: NDArray[np.float32] = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    return lab


def colour_cells(lab: NDArray[np.float32]) -> NDArray[np.intp]:
    """Index of every pixel's cell, (H, W)."""
    fraction = (lab + np.array([0, _RANGE, _RANGE])) / np.array([100, 2 * _RANGE, 2 * _RANGE])
    lightness, a, b = np.moveaxis((fraction * _CELLS).clip(0, _CELLS - 1).astype(np.intp), -1, 0)
    cells: NDArray[np.intp] = (lightness * _CELLS + a) * _CELLS + b
    return cells


def colour_density(cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Probability of each cell, estimated from the cells of some pixels; all 0 when there are none."""
    count = np.bincount(cells, minlength=_CELLS**3).astype(np.float64)
    spread = (_SPREAD @ count.reshape(_CELLS, -1)).reshape(_CELLS, _CELLS, _CELLS)
    density: NDArray[np.float64] = (np.matmul(_SPREAD, spread) @ _SPREAD.T).ravel() / max(len(cells), 1)
    return density
