"""What the random holes have in common: a wanted area in pixels, and a generator for each mask."""

from collections.abc import Callable, Sequence
from operator import index
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatedinpaint._checks import check_size

Hole: TypeAlias = NDArray[np.bool_]
# In quotes, here and where holes are drawn: to look numpy.random up is to import it, with the package.
Draw: TypeAlias = Callable[[int, "np.random.Generator"], Hole]


def draw_masks(
    size: tuple[int, int],
    hole_ratio: float,
    seed: int | Sequence[int],
    batch_size: int,
    draw: Draw,
) -> Tensor:
    """(B, 1, H, W) of holes that ``draw`` makes from the wanted area and a generator of the mask's own."""
    check_size(size)
    height, width = size
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more; got {batch_size}.")
    if not 0 <= hole_ratio <= 1:
        raise ValueError(f"hole_ratio must be from 0 to 1; got {hole_ratio}. It is a share, not a percentage.")
    try:
        entropy = [index(part) for part in (seed if isinstance(seed, Sequence) else [seed])]
    except TypeError:
        raise TypeError(
            f"seed must be a whole number, or a tuple of several such as (seed, epoch, index); got {seed!r}."
        ) from None
    if not entropy or min(entropy) < 0:
        raise ValueError(f"seed must be a whole number, 0 or more, or several of them; got {seed}.")
    area = round(hole_ratio * height * width)
    if area in (0, height * width):
        return torch.full((batch_size, 1, height, width), float(area > 0), dtype=torch.float32, device="cpu")
    seeds = (np.random.SeedSequence(entropy, spawn_key=(b,)) for b in range(batch_size))
    holes = [draw(area, np.random.default_rng(seed)) for seed in seeds]
    return torch.from_numpy(np.stack(holes)[:, None]).float()


def lowest_pixels(height: NDArray[np.floating[Any]], count: int) -> Hole:
    """The ``count`` lowest pixels."""
    chosen = np.zeros(height.size, bool)
    chosen[np.argpartition(height, count - 1, axis=None)[:count]] = True
    return chosen.reshape(height.shape)
