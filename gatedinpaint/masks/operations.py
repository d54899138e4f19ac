"""What is done with a hole that is there: composite, grow, shrink, feather."""

from operator import index

import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._checks import check_image, check_lone_mask, check_mask, check_same_shape


def composite(generated: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """``generated`` in the hole, ``image`` elsewhere, bit for bit.

    Args:
        generated: float (B, C, H, W).
        image: float (B, C, H, W).
        mask: float (B, 1, H, W); 1 = hole. A soft mask is cut at 0.5.

    Returns:
        float (B, C, H, W). It is chosen by :func:`torch.where`, not blended: NaN in an unused pixel does no harm.

    Raises:
        TypeError: what is not a floating-point tensor.
        ValueError: shapes that do not match; a mask with values beyond 0 and 1 (looked at on a CPU alone).

    Example:
        >>> mask = torch.tensor([1.0, 0.0]).reshape(1, 1, 1, 2)
        >>> composite(torch.full((1, 3, 1, 2), 9.0), torch.zeros(1, 3, 1, 2), mask)[0, 0].tolist()
        [[9.0, 0.0]]
    """
    check_image(image, channels=None)
    check_mask(mask, image)
    check_same_shape(generated, image, name="generated", other="image")
    return torch.where(mask > 0.5, generated, image)


def dilate(mask: Tensor, radius: int) -> Tensor:
    """Grow the hole by ``radius`` pixels in every direction (a square window of side 2·radius + 1).

    Args:
        mask: float (B, 1, H, W) in {0, 1}.
        radius: pixels, 0 or more.

    Raises:
        TypeError: a mask that is not a floating-point tensor; a radius that is no whole number.
        ValueError: a mask of another shape or with values beyond 0 and 1 (looked at on a CPU alone), or a negative
            radius.

    Example:
        >>> dilate(torch.tensor([0.0, 0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 5), 1).flatten().tolist()
        [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    return _grown(mask, _check(mask, radius))


def erode(mask: Tensor, radius: int) -> Tensor:
    """Shrink the hole by ``radius`` pixels in every direction; beyond the border counts as hole.

    Raises:
        TypeError: a mask that is not a floating-point tensor; a radius that is no whole number.
        ValueError: a mask of another shape or with values beyond 0 and 1 (looked at on a CPU alone), or a negative
            radius.

    Example:
        >>> erode(torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0]).reshape(1, 1, 1, 5), 1).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0]
    """
    radius = _check(mask, radius)
    return 1.0 - _grown(1.0 - mask, radius)


def feather(mask: Tensor, radius: int) -> Tensor:
    """Soft weights that rise from 0 at the hole's border to 1 at ``radius`` pixels inside; 0 everywhere outside.

    The weight of a hole pixel is its chessboard distance to the nearest pixel outside, divided by radius + 1, at most
    1: a blend with these weights changes no pixel outside the hole.

    Args:
        mask: float (B, 1, H, W) in {0, 1}.
        radius: width of the ramp in pixels, 0 or more. 0 returns the mask.

    Raises:
        TypeError: a mask that is not a floating-point tensor; a radius that is no whole number.
        ValueError: a mask of another shape or with values beyond 0 and 1 (looked at on a CPU alone), or a negative
            radius.

    Example:
        >>> feather(torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0]).reshape(1, 1, 1, 5), 1).flatten().tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    radius = _check(mask, radius)
    # The mean of the mask eroded by 0 … radius. Whole numbers are exact in float32; bfloat16 counts to 256 only.
    outside, total = 1.0 - mask, mask.to(torch.promote_types(mask.dtype, torch.float32))
    for _ in range(radius):
        outside = _grown(outside, 1)
        total = total + (1.0 - outside)
    return (total / (radius + 1)).to(mask.dtype)


def _grown(mask: Tensor, radius: int) -> Tensor:
    # One side after the other: the same maximum over the square with 2·(2r + 1) instead of (2r + 1)² comparisons.
    rows = F.max_pool2d(mask, (2 * radius + 1, 1), stride=1, padding=(radius, 0))
    return F.max_pool2d(rows, (1, 2 * radius + 1), stride=1, padding=(0, radius))


def _check(mask: Tensor, radius: int) -> int:
    """Return the radius as an int: twice an ``np.uint8`` would wrap around."""
    check_lone_mask(mask)
    try:
        radius = index(radius)
    except TypeError:
        raise TypeError(f"radius must be a whole number of pixels; got {radius!r}.") from None
    if radius < 0:
        raise ValueError(f"radius must be 0 or more pixels; got {radius}.")
    return radius
