"""A photo at its own size and at halves of it, to look at any part of it without more pixels than the look needs."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.image import Photo

_LEAST_SIDE = 64  # of what is halved further: a thin photo keeps its thickness


class Window(NamedTuple):
    """A rectangle of the photo; it may reach beyond it."""

    top: int
    left: int
    height: int
    width: int


class View(NamedTuple):
    """What a part of the photo looks like, and where that part is."""

    photo: Photo
    left: int
    """Where the view's left border is, in pixels of the photo."""
    top: int
    scale: int
    """Pixels of the photo to one of the view."""
    mirrored: bool = False

    def mirror_image(self) -> "View":
        """The same part of the photo, mirrored."""
        return self._replace(photo=self.photo[:, ::-1], mirrored=not self.mirrored)

    def to_photo(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Points (N, 2) of the view in pixels of the photo; pixel centres lie at integers in both."""
        if self.mirrored:
            points = points * np.array([-1, 1], points.dtype) + np.array([self.photo.shape[1] - 1, 0], points.dtype)
        return (points + 0.5) * self.scale - 0.5 + (self.left, self.top)


class Pyramid:
    """Views of a photo; halved versions are made when first needed and kept.

    Each halving is the mean of 2×2 pixels, without the last row or column where the number is odd. So a pixel of a view
    covers whole pixels of the photo, and places carry over exactly.
    """

    def __init__(self, photo: Photo) -> None:
        self._halved = [photo]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the photo."""
        return self._halved[0].shape[0], self._halved[0].shape[1]

    def view(self, window: Window, most: int) -> View:
        """The window with sides of at most ``most`` pixels, black beyond the photo's border."""
        step = 0
        while max(window.height, window.width) >> step > most and self._can_halve(step):
            step += 1
        photo, scale = self._halved[step], 2**step
        top, left = window.top // scale, window.left // scale
        height, width = window.height // scale, window.width // scale
        part = photo[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
        inside = top >= 0 and left >= 0 and top + height <= photo.shape[0] and left + width <= photo.shape[1]
        if not inside:
            shown = np.zeros((height, width, 3), np.uint8)
            y, x = max(0, -top), max(0, -left)
            shown[y : y + part.shape[0], x : x + part.shape[1]] = part
            part = shown
        return View(part, left * scale, top * scale, scale)

    def _can_halve(self, step: int) -> bool:
        """Whether there is a version halved once more often than ``step`` times; makes it."""
        if step + 1 == len(self._halved):
            photo = self._halved[step]
            height, width = photo.shape[0] // 2, photo.shape[1] // 2
            if min(height, width) < _LEAST_SIDE:
                return False
            cv2 = require("cv2", "faces")
            even = photo[: 2 * height, : 2 * width]
            self._halved.append(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
        return True
