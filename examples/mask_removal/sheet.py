"""Picture sheets: photos side by side in rows, with titles."""

from collections.abc import Sequence

import cv2
import numpy as np

_GAP = 6
_TITLE_HEIGHT = 24  # at least; large pictures are shown smaller than they are, and their titles with them


def picture_sheet(
    rows: Sequence[Sequence[np.ndarray]], *, titles: Sequence[str] = (), side: int | None = None
) -> np.ndarray:
    """Lay photos out in rows on white, with a title over every column.

    Args:
        rows: photos uint8 (H, W, 3) or holes bool (H, W), which are drawn white on black.
        titles: one for each column.
        side: fit every picture into a square of this many pixels; by default the largest side that occurs.
    """
    pictures = [[_as_photo(picture) for picture in row] for row in rows]
    side = side or max(max(picture.shape[:2]) for row in pictures for picture in row)
    columns = max(len(row) for row in pictures)
    title_height = max(_TITLE_HEIGHT, side // 7)
    top = title_height if titles else _GAP
    sheet = np.full((top + len(rows) * (side + _GAP), _GAP + columns * (side + _GAP), 3), 255, np.uint8)
    for y, row in enumerate(pictures):
        for x, picture in enumerate(row):
            fitted = _fit(picture, side)
            height, width = fitted.shape[:2]
            first = top + y * (side + _GAP) + (side - height) // 2, _GAP + x * (side + _GAP) + (side - width) // 2
            sheet[first[0] : first[0] + height, first[1] : first[1] + width] = fitted
    for x, title in enumerate(titles):
        place = (_GAP + x * (side + _GAP), title_height - title_height // 3)
        scale = min(title_height / 48, side / 2 / max(1, 9 * len(title)) * 1.1 + 0.15)
        thickness = 1 if scale < 0.8 else 2
        cv2.putText(sheet, title, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thickness, cv2.LINE_AA)
    return sheet


def _as_photo(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture[..., None].astype(np.uint8) * 255, 3, axis=2) if picture.dtype == bool else picture


def _fit(photo: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(photo.shape[:2])
    if scale == 1:
        return photo
    size = (max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale)))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
