"""A hole of the user's own: a picture of the photo's size, white where it is to be filled."""

from pathlib import Path

import numpy as np

from gatedinpaint import PhotoError, read_photo

_COLOUR, _DARK, _LIGHT = 48, 64, 192
_MOST_GREY = 0.02
"""Share of the picture: a brush with soft edges has some, a photo is full of it."""


def read_hole(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Read a picture as a hole, bool (H, W); what is lighter than middle grey belongs to it.

    Args:
        path: white on black, for example a PNG that a paint program wrote.
        size: (height, width) of the photo, turned upright.

    Raises:
        PhotoError: no picture, one of another size, one that is more than black and white, or one without white or with
            white on more than half of it.
    """
    picture = read_photo(path)
    if picture.shape[:2] != size:
        (height, width), (wanted_height, wanted_width) = picture.shape[:2], size
        raise PhotoError(
            f"{path}: the hole must be as large as the photo, {wanted_width} × {wanted_height} pixels when it is "
            f"upright; got {width} × {height}."
        )
    grey = picture.mean(2)
    coloured = np.ptp(picture, axis=2) > _COLOUR
    if max(coloured.mean(), ((grey > _DARK) & (grey < _LIGHT)).mean()) > _MOST_GREY:
        raise PhotoError(f"{path}: the hole must be white on black; this picture has other colours. Is it the photo?")
    hole: np.ndarray = grey > 127
    if not hole.any():
        raise PhotoError(f"{path}: no pixel is white, so there is nothing to fill. White marks the hole.")
    if hole.mean() > 0.5:
        raise PhotoError(
            f"{path}: {hole.mean():.0%} of it is white. White marks the hole, black what stays, and what is "
            "transparent counts as white: is it inverted?"
        )
    return hole
