"""Random blobs with ragged outlines."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gatedinpaint.masks._seeded import Hole, draw_masks, lowest_pixels


def irregular_mask(
    size: tuple[int, int],
    *,
    hole_ratio: float,
    seed: int | Sequence[int],
    batch_size: int = 1,
    blobs: int = 3,
    roughness: float = 0.5,
) -> Tensor:
    r"""Blobs with ragged outlines, some with islands and specks around them.

    A height is given to every pixel, and the hole is where it is lowest: exactly ``round(hole_ratio · H · W)`` pixels.

    .. math:: \min_i \frac{|x - c_i|}{r_i} + \text{roughness} \cdot n(x)

    with centres :math:`c_i` anywhere, relative radii :math:`r_i` between 0.5 and 1, and noise :math:`n` of several
    octaves, each twice as fine and half as strong as the one before.

    Args:
        size: (height, width) in pixels.
        hole_ratio: wanted share of hole pixels, from 0 to 1.
        seed: a whole number ≥ 0, or several; see :func:`box_mask`.
        batch_size: number of masks, each with a hole of its own.
        blobs: number of centres. A blob may join others, or be too high to be hole at all.
        roughness: 0 for discs, 0.5 for ragged outlines; from 2 on the noise says more than the centres.

    Returns:
        float (B, 1, H, W) in {0, 1}; 1 = hole.

    Raises:
        TypeError: a size or a seed that is not made of whole numbers.
        ValueError: a size that is empty or not (height, width), no masks at all, a ratio outside [0, 1], a
            negative seed, no blobs, or a ``roughness`` below 0.

    Example:
        >>> irregular_mask((33, 47), hole_ratio=0.1, seed=0).sum().item(), round(0.1 * 33 * 47)
        (155.0, 155)
    """
    if blobs < 1:
        raise ValueError(f"blobs must be 1 or more; got {blobs}.")
    if not 0 <= roughness < np.inf:
        raise ValueError(f"roughness must be 0 or more; got {roughness}.")
    return draw_masks(size, hole_ratio, seed, batch_size, lambda area, rng: _blobs(size, area, rng, blobs, roughness))


def _blobs(size: tuple[int, int], area: int, rng: "np.random.Generator", blobs: int, roughness: float) -> Hole:
    unit = np.float32(np.sqrt(size[0] * size[1]))
    y, x = (np.arange(side, dtype=np.float32) / unit for side in size)
    centres = rng.uniform(size=(blobs, 2)).astype(np.float32) * np.asarray(size, np.float32) / unit
    radii = rng.uniform(0.5, 1, size=blobs).astype(np.float32)
    height = np.full(size, np.inf, np.float32)
    for (centre_y, centre_x), radius in zip(centres, radii, strict=True):
        np.minimum(height, np.sqrt((y[:, None] - centre_y) ** 2 + (x - centre_x) ** 2) / radius, out=height)
    return lowest_pixels(height + np.float32(roughness) * _noise(size, rng), area)


def _noise(size: tuple[int, int], rng: "np.random.Generator") -> NDArray[np.float32]:
    """Octaves of smooth noise, from 4 cells across the longer side to cells of 4 pixels or a little more."""
    noise = torch.zeros(1, 1, 1, 1, dtype=torch.float32, device="cpu")
    cells, strength = 4, 0.5
    while cells == 4 or 4 * cells <= max(size):
        grid = [max(1, round(cells * side / max(size))) for side in size]
        values = torch.from_numpy(rng.uniform(-strength, strength, grid).astype(np.float32))
        noise = F.interpolate(noise, size=grid, mode="bicubic", align_corners=False) + values
        cells, strength = 2 * cells, strength / 2
    result: NDArray[np.float32] = F.interpolate(noise, size=size, mode="bicubic", align_corners=False)[0, 0].numpy()
    return result
