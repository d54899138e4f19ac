"""Checks of what nearly every function on faces takes: a hole, a size, whole numbers."""

import numpy as np
from torch import Tensor

from gatedinpaint.image import Hole


def check_hole(hole: object, size: tuple[int, int] | None = None, *, matching: str = "the photo") -> Hole:
    """Return ``hole``, or raise unless it is bool (H, W), and of ``size``, that of what it is ``matching``."""
    if not isinstance(hole, np.ndarray):
        hint = " Pass (mask[0, 0] > 0.5).numpy() of a mask." if isinstance(hole, Tensor) else ""
        raise TypeError(f"hole must be a numpy array (H, W) of bool; got {type(hole).__name__}.{hint}")
    if hole.dtype != np.bool_:
        raise TypeError(f"hole must be bool; got {hole.dtype}. Use hole > 0.5.")
    if hole.ndim != 2:
        raise ValueError(f"hole must be (H, W); got {hole.shape}. Drop the other axes, as in hole[0, 0].")
    if size is not None and hole.shape != size:
        raise ValueError(f"hole must be (H, W) = {size} as {matching}; got {hole.shape}.")
    return hole


def check_size(size: object, *, least: int = 1) -> tuple[int, int]:
    """Return ``size`` as (height, width), or raise unless it is two whole numbers of at least ``least``."""
    sides = tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(side, (int, np.integer)) and side >= least for side in sides):
        raise ValueError(
            f"size must be (height, width), whole numbers of {least} or more; got {size}. Pass photo.shape[:2]."
        )
    return int(sides[0]), int(sides[1])


def check_whole(value: object, *, name: str, least: int) -> int:
    """Return ``value`` as an int, or raise unless it is a whole number of at least ``least``."""
    if not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be a whole number; got {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be {least} or more; got {value}.")
    return int(value)
