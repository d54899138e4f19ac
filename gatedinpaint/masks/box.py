"""Random upright boxes."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from gatedinpaint.masks._seeded import Hole, draw_masks


def box_mask(
    size: tuple[int, int],
    *,
    hole_ratio: float,
    seed: int | Sequence[int],
    batch_size: int = 1,
    max_aspect: float = 2.0,
) -> Tensor:
    """One upright box per mask, anywhere in the frame.

    A box cannot have every area: it is off the wanted one by at most half its own shorter side, in pixels. Among the
    boxes that near, the one of the aspect that was drawn is taken, or the next to it that fits the frame.

    Args:
        size: (height, width) in pixels.
        hole_ratio: wanted share of hole pixels, from 0 to 1.
        seed: a whole number ≥ 0, or several, such as (seed, epoch, index). Mask number b depends on ``seed``, on b and
            on the options, never on ``batch_size``. The global random state is neither read nor changed.
            Zeros at the end do not count, (7, 0) is 7: keep to tuples of one length.
        batch_size: number of masks, each with a hole of its own.
        max_aspect: longer over shorter side is drawn between 1 and this, lying or standing.

    Returns:
        float (B, 1, H, W) in {0, 1}; 1 = hole.

    Raises:
        TypeError: a size or a seed that is not made of whole numbers.
        ValueError: a size that is empty or not (height, width), no masks at all, a ratio outside [0, 1], a
            ``max_aspect`` below 1, a negative seed.

    Example:
        >>> box_mask((4, 6), hole_ratio=0.25, seed=4)[0, 0]
        tensor([[0., 0., 0., 0., 0., 0.],
                [0., 1., 1., 0., 0., 0.],
                [0., 1., 1., 0., 0., 0.],
                [0., 1., 1., 0., 0., 0.]])
    """
    if not 1 <= max_aspect < np.inf:
        raise ValueError(f"max_aspect must be 1 or more; got {max_aspect}.")
    return draw_masks(size, hole_ratio, seed, batch_size, lambda area, rng: _box(size, area, rng, max_aspect))


def _box(size: tuple[int, int], area: int, rng: "np.random.Generator", max_aspect: float) -> Hole:
    heights = np.arange(1, size[0] + 1)
    widths = np.clip(np.rint(area / heights), 1, size[1]).astype(int)
    near = 2 * np.abs(heights * widths - area) <= np.minimum(heights, widths)
    heights, widths = heights[near], widths[near]
    aspect = rng.uniform(-1, 1) * np.log(max_aspect)
    best = np.argmin(np.abs(np.log(heights / widths) - aspect))
    height, width = heights[best], widths[best]
    top, left = rng.integers(size[0] - height + 1), rng.integers(size[1] - width + 1)
    hole = np.zeros(size, bool)
    hole[top : top + height, left : left + width] = True
    return hole
