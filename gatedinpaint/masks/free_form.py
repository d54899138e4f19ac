"""Random strokes of a brush."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatedinpaint.masks._seeded import Hole, draw_masks, lowest_pixels


def free_form_mask(
    size: tuple[int, int],
    *,
    hole_ratio: float,
    seed: int | Sequence[int],
    batch_size: int = 1,
    brush_width: tuple[float, float] = (0.05, 0.15),
    vertices: tuple[int, int] = (4, 12),
) -> Tensor:
    """Strokes of a brush that zigzags over the frame, as if somebody had painted something over.

    Each stroke has a width, a number of vertices and a direction of its own; it turns left and right in turns, by 48°
    to 96° off its axis, after lengths around an eighth of the frame's diagonal. Strokes follow one another until the
    hole has ``round(hole_ratio · H · W)`` pixels; the last one stops where that number is reached, exactly.

    Args:
        size: (height, width) in pixels.
        hole_ratio: wanted share of hole pixels, from 0 to 1.
        seed: a whole number ≥ 0, or several; see :func:`box_mask`.
        batch_size: number of masks, each with a hole of its own.
        brush_width: narrowest and widest brush, as shares of the frame's shorter side; at least one pixel.
        vertices: fewest and most straight pieces of a stroke.

    Returns:
        float (B, 1, H, W) in {0, 1}; 1 = hole.

    Raises:
        TypeError: a size or a seed that is not made of whole numbers.
        ValueError: a size that is empty or not (height, width), no masks at all, a ratio outside [0, 1], a
            negative seed, a range that is not (lowest, highest), a brush without width or a stroke without vertices.

    Reference:
        Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019: vertices, widths, lengths and angles
        as in its released training code at 256×256.

    Departs from the paper:
        There the number of strokes is drawn and the area comes as it may; here the area is given. A stroke begins at
        a pixel that is not yet hole, and points in any direction.

    Example:
        >>> mask = free_form_mask((64, 64), hole_ratio=0.25, seed=(7, 0), batch_size=2)
        >>> mask.shape, mask.mean(dim=(1, 2, 3))
        (torch.Size([2, 1, 64, 64]), tensor([0.2500, 0.2500]))
    """
    if not 0 < brush_width[0] <= brush_width[1] <= 1:
        raise ValueError(f"brush_width must be (narrowest, widest), above 0 and up to 1; got {brush_width}.")
    if not 1 <= vertices[0] <= vertices[1]:
        raise ValueError(f"vertices must be (fewest, most), from 1 up; got {vertices}.")
    return draw_masks(
        size, hole_ratio, seed, batch_size, lambda area, rng: _strokes(size, area, rng, brush_width, vertices)
    )


def _strokes(
    size: tuple[int, int],
    area: int,
    rng: "np.random.Generator",
    brush_width: tuple[float, float],
    vertices: tuple[int, int],
) -> Hole:
    hole = np.zeros(size, bool)
    reach = float(np.hypot(*size)) / 8
    while True:
        free = np.flatnonzero(~hole)
        start = np.array(divmod(int(rng.choice(free)), size[1]), float)
        radius = max(1.0, min(size) * rng.uniform(*brush_width)) / 2
        direction = rng.uniform(0, 2 * np.pi)
        for turn in range(int(rng.integers(vertices[0], vertices[1] + 1))):
            angle = direction + (-1) ** turn * rng.uniform(4 / 15, 8 / 15) * np.pi
            length = float(np.clip(rng.normal(reach, reach / 2), 0, 2 * reach))
            # At the frame's border a stroke follows the border.
            end = np.clip(start + length * np.array([np.sin(angle), np.cos(angle)]), 0, np.array(size) - 1)
            area -= _paint(hole, start, end, radius, area)
            if area == 0:
                return hole
            start = end


def _paint(hole: Hole, start: NDArray[np.float64], end: NDArray[np.float64], radius: float, most: int) -> int:
    """Draw a thick line with round ends into ``hole``, from its start on, and stop after ``most`` new pixels."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
    high = np.ceil(np.maximum(start, end) + radius).astype(int) + 1
    window = hole[low[0] : high[0], low[1] : high[1]]  # a view; slices end at the frame's border by themselves
    y = np.arange(window.shape[0], dtype=np.float32)[:, None] + np.float32(low[0] - start[0])
    x = np.arange(window.shape[1], dtype=np.float32)[None] + np.float32(low[1] - start[1])
    length = float(np.hypot(*(end - start)))
    along_y, along_x = ((end - start) / max(length, 1e-6)).astype(np.float32)
    progress = y * along_y + x * along_x
    nearest = np.clip(progress, 0, np.float32(length))
    distance = (y - nearest * along_y) ** 2 + (x - nearest * along_x) ** 2
    new = (distance <= radius**2) & ~window
    count = int(np.count_nonzero(new))
    if count > most:
        new = lowest_pixels(np.where(new, progress, np.inf), most)
        count = most
    window |= new
    return count
