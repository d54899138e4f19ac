"""The FFHQ-style crop of a face, and its exact inverse."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.faces._checks import check_hole, check_whole
from gatedinpaint.faces._resample import inverted, resample
from gatedinpaint.faces.regions import check_landmarks
from gatedinpaint.image import Hole, Photo, check_photo

# In photo order: "left" is the left of the photo. The same six contour points per eye as in the 68-point scheme.
_LEFT_EYE = [33, 160, 158, 133, 153, 144]
_RIGHT_EYE = [362, 385, 387, 263, 373, 380]
_MOUTH_CORNERS = [61, 291]


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face cropped by :func:`align`, which can be put back where it came from."""

    photo: Photo
    """uint8 RGB (size, size, 3)."""
    landmarks: NDArray[np.float32]
    """(478, 2) points (x, y) in pixels of the crop."""
    matrix: NDArray[np.float64]
    """(2, 3) similarity: crop (x, y) = matrix @ (x, y, 1) of the source photo; pixel centres lie at integers."""
    source_size: tuple[int, int]
    """(height, width) of the source photo."""
    scale: float = 1.0
    """Side of the square as a multiple of FFHQ's."""

    def to_crop(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map points (N, 2) of the source photo to the crop."""
        mapped: NDArray[np.float64] = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return mapped

    def to_source(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Map points (N, 2) of the crop to the source photo."""
        inverse = inverted(self.matrix)
        mapped: NDArray[np.float64] = points @ inverse[:, :2].T + inverse[:, 2]
        return mapped

    def cover(self, hole: Hole) -> Hole:
        """Map a hole (H, W) of the source photo to the crop: every pixel in which any pixel of the hole lies.

        Beyond the photo's border that is the hole's mirror image, as what the crop shows there is the photo's.

        Raises:
            TypeError: a hole that is not bool.
            ValueError: a hole that is not of the source photo's size.
        """
        check_hole(hole, self.source_size, matching="the source photo")
        size = len(self.photo)
        share = resample(hole, self.matrix, (size, size), border="reflect")
        covered: Hole = share > 1e-6
        return covered

    def restore(self, crop: NDArray[Any], *, window: tuple[slice, slice] | None = None) -> NDArray[Any]:
        """Put something drawn on the crop into an empty frame of the source photo's size.

        Args:
            crop: (size, size) or (size, size, 3) of the crop's size: uint8 (a photo), bool (a hole) or float (any map).
            window: the rows and columns of the source photo that are wanted, by default all; the others stay empty.

        Returns:
            The same type at the source's size, (H, W) or (H, W, 3): 0 or False outside the crop.

        Raises:
            TypeError: what is not a numpy array.
            ValueError: an array that is not of the crop's size.
        """
        size = len(self.photo)
        if not isinstance(crop, np.ndarray):
            kind = type(crop).__name__
            raise TypeError(f"crop must be a numpy array; got {kind}. Use image_to_photo for an image in [-1, 1].")
        if crop.shape not in ((size, size), (size, size, 3)):
            raise ValueError(f"crop must be ({size}, {size}) or ({size}, {size}, 3) as aligned; got {crop.shape}.")
        height, width = self.source_size
        # Only the rectangle around the crop is computed; a photo may hold far more pixels than the face.
        edge = size - 0.5
        corners = self.to_source(np.array([[-0.5, -0.5], [edge, -0.5], [-0.5, edge], [edge, edge]]))
        left, top = (max(0, math.floor(value)) for value in corners.min(0))
        right, bottom = (math.ceil(value) + 1 for value in corners.max(0))
        right, bottom = min(width, right), min(height, bottom)
        if window is not None:
            (first_row, last_row, _), (first, last, _) = window[0].indices(height), window[1].indices(width)
            left, top, right, bottom = max(left, first), max(top, first_row), min(right, last), min(bottom, last_row)
        restored = np.zeros((height, width, *crop.shape[2:]), dtype=crop.dtype)
        if left >= right or top >= bottom:
            return restored

        to_rectangle = inverted(self.matrix) - [[0, 0, left], [0, 0, top]]
        values = crop.astype(np.float32) if crop.dtype not in (np.uint8, np.bool_) else crop
        values = resample(values, to_rectangle, (bottom - top, right - left), border="replicate")
        values = values > 0.5 if crop.dtype == np.bool_ else values.astype(crop.dtype, copy=False)
        target = restored[top:bottom, left:right]
        # Of every row the part that lies in the crop, whose sides are four lines.
        y = np.arange(top, bottom)
        starts, stops = np.full(len(y), left, np.float64), np.full(len(y), right - 1, np.float64)
        for slope, other, start in self.matrix:
            at_zero = other * y + start
            if abs(slope) < 1e-12:
                stops[(at_zero < -0.5) | (at_zero >= edge)] = -1
                continue
            ends = (-0.5 - at_zero) / slope, (edge - at_zero) / slope
            starts, stops = np.maximum(starts, np.minimum(*ends)), np.minimum(stops, np.maximum(*ends))
        ends_of_rows = zip(np.ceil(starts).astype(int), np.floor(stops).astype(int), strict=True)
        for row, (start, end) in enumerate(ends_of_rows):
            if start <= end:
                target[row, start - left : end + 1 - left] = values[row, start - left : end + 1 - left]
        return restored


def align(photo: Photo, landmarks: NDArray[np.floating], *, size: int = 256, scale: float = 1.0) -> AlignedFace:
    """Cut out a face upright and centred, as the FFHQ data set does.

    With e the vector from the left eye to the right, m the one from the middle of the eyes to that of the mouth, and ⊥
    a quarter turn, the crop is the square around ``middle of the eyes + 0.1 m`` whose half side has the direction of
    ``e − m⊥`` and the length ``max(2.0 |e|, 1.8 |m|)``. Outside the photo its mirror image continues it. When the crop
    is smaller than its source, pixels are averaged, so that fine structure does not alias.

    Args:
        photo: uint8 RGB (H, W, 3).
        landmarks: (478, 2) points (x, y) in pixels of ``photo``.
        size: side of the crop in pixels.
        scale: side of the square as a multiple of FFHQ's; over 1 it shows more of what is around the face.

    Raises:
        TypeError: a photo that is not uint8, a size that is not a whole number.
        ValueError: a photo that is not (H, W, 3), landmarks that are not finite (478, 2) points or coincide, a size or
            scale out of range.
        ImportError: OpenCV is not installed.

    Reference:
        Karras et al., "A style-based generator architecture for generative adversarial networks", CVPR 2019, and the
        alignment in github.com/NVlabs/ffhq-dataset. **Departs from it**: no blur towards the continued border.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> photo = astronaut()
        >>> aligned = align(photo, FaceLandmarker().detect(photo)[0].landmarks, size=128)
        >>> aligned.photo.shape, aligned.restore(aligned.photo).shape
        ((128, 128, 3), (512, 512, 3))
    """
    photo = check_photo(photo)
    size = check_whole(size, name="size", least=1)
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be more than 0; got {scale}.")
    points = check_landmarks(landmarks)
    matrix = _crop_matrix(points, size, scale)
    aligned = resample(photo, matrix, (size, size), border="reflect")
    crop_landmarks = points @ matrix[:, :2].T + matrix[:, 2]
    return AlignedFace(aligned, crop_landmarks.astype(np.float32), matrix, (photo.shape[0], photo.shape[1]), scale)


def scale_to_hold(landmarks: NDArray[np.floating], hole: Hole, *, margin: float = 0.06, largest: float = 1.5) -> float:
    """Smallest ``scale`` for :func:`align`, at least 1 and in steps of 1/8, at which the crop holds the whole hole.

    A face mask that hangs under the chin of a turned head reaches beyond FFHQ's square.

    Args:
        landmarks: (478, 2) points (x, y) in pixels.
        hole: bool (H, W) of the photo's size.
        margin: what must be visible around the hole, in halves of FFHQ's side.
        largest: the result is at most this, even if the hole reaches further.

    Raises:
        TypeError: a hole that is not a numpy array of bool.
        ValueError: a hole that is not (H, W), landmarks that are not finite (478, 2) points or coincide.

    Example:
        >>> landmarks = np.zeros((478, 2))
        >>> landmarks[[33, 160, 158, 133, 153, 144]] = 100, 100  # left eye
        >>> landmarks[[362, 385, 387, 263, 373, 380]] = 140, 100
        >>> landmarks[[61, 291]] = 120, 150  # corners of the mouth: FFHQ's square is x 30…210, y 15…195
        >>> landmarks[152] = 120, 170  # chin
        >>> hole = np.zeros((300, 300), bool)
        >>> hole[100:180, 80:160] = True
        >>> scale_to_hold(landmarks, hole)
        1.0
        >>> hole[100:210, 80:160] = True
        >>> scale_to_hold(landmarks, hole)
        1.25
    """
    check_hole(hole)
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    if not len(rows):
        return 1.0
    matrix = _crop_matrix(check_landmarks(landmarks), 2, 1.0)  # the square is −0.5…1.5: its centre 0.5, half its side 1
    corners = np.array([(x, y) for x in columns[[0, -1]] for y in rows[[0, -1]]], np.float64)
    reach = float(np.abs(corners @ matrix[:, :2].T + matrix[:, 2] - 0.5).max())
    return min(max(1.0, math.ceil(8 * (reach + margin)) / 8), largest)


def _crop_matrix(points: NDArray[np.float64], size: int, scale: float) -> NDArray[np.float64]:
    left, right = points[_LEFT_EYE].mean(0), points[_RIGHT_EYE].mean(0)
    eyes = (left + right) / 2
    across, down = right - left, points[_MOUTH_CORNERS].mean(0) - eyes
    direction = across + np.array([down[1], -down[0]])
    length = float(np.hypot(*direction))
    if length < 1e-6:
        raise ValueError("landmarks of the eyes and the mouth coincide. Pass Face.landmarks of a face in this photo.")
    half_side = scale * max(2.0 * float(np.hypot(*across)), 1.8 * float(np.hypot(*down)))
    cosine, sine = direction / length * size / (2 * half_side)
    linear = np.array([[cosine, sine], [-sine, cosine]])
    # The square's centre falls between the middle pixels of the crop, at (size − 1) / 2.
    offset = (size - 1) / 2 - linear @ (eyes + 0.1 * down)
    return np.column_stack([linear, offset])
