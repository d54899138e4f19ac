"""Which pixels a drawn face mask covers, and how much of each: cloth, ear loops, and their shadow."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._mask_shape import Points, Shape
from gatedinpaint.image import Hole

Field = NDArray[np.float32]


class Layers(NamedTuple):
    """What a face mask covers in a box of the photo: (h, w) shares of pixels, 0 to 1."""

    top: int
    left: int
    cloth: Field
    loops: Field
    shadow: Field
    """Of the cloth, on what lies around it; 0 under the cloth."""

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns of the photo."""
        height, width = self.cloth.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    @property
    def hole(self) -> Hole:
        """Every pixel of the box that the face mask touches."""
        touched: Hole = (self.cloth > 0) | (self.loops > 0) | (self.shadow > 0)
        return touched


def mask_layers(shape: Shape, size: tuple[int, int], unit: float) -> Layers | None:
    """Rasterise a shape into a photo of ``size`` (height, width); None when all of it lies outside."""
    cv2 = require("cv2", "faces")
    reach = max(1, round(0.012 * unit))  # of the shadow
    extent = np.concatenate([*shape.outlines, *shape.loops])
    margin = 2 * reach + 2
    left, top = np.maximum(np.floor(extent.min(0)).astype(int) - margin, 0)
    right, bottom = np.minimum(np.ceil(extent.max(0)).astype(int) + margin + 1, size[::-1])
    if left >= right or top >= bottom:
        return None
    box, origin = (int(bottom - top), int(right - left)), np.array([left, top])
    factor = int(np.clip(round(1000 / unit), 1, 4))  # small faces are drawn finer than the pixels

    def rasterise(curves: list[Points]) -> Field:
        fine = np.zeros((box[0] * factor, box[1] * factor), dtype=np.uint8)
        for curve in curves:
            fixed = np.round(((curve - origin + 0.5) * factor - 0.5) * 16).astype(np.int32)
            cv2.fillPoly(fine, [fixed], 255, lineType=cv2.LINE_AA, shift=4)
        share: Field = cv2.resize(fine, box[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
        return share

    cloth, loops = rasterise(shape.outlines), rasterise(shape.loops)
    # Light comes from above: the shadow is that of the cloth, blurred and a little lower.
    shadow = cv2.GaussianBlur(cloth, (2 * reach + 1, 2 * reach + 1), 0.5 * reach, borderType=cv2.BORDER_REPLICATE)
    shadow[1:] = 0.5 * (shadow[1:] + shadow[:-1])
    shadow[(cloth == 1) | (shadow < 0.05)] = 0
    return Layers(int(top), int(left), cloth, loops, shadow)
