"""Maps cut into tiles of 4 × 4 results and the 6 × 6 inputs behind each, as minimal filtering needs them."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

# Tiles worked on together: enough for every filter that is read, few enough to stay in the processor's cache.
_TOGETHER = 256


class Tiling(NamedTuple):
    """How the results are cut into tiles."""

    batch: int
    rows: int
    """Tiles below one another, in every phase of the dilation."""
    columns: int
    dilation: int
    channels: int
    """The most that a map has."""

    def parts(self) -> Iterator[tuple[slice, slice]]:
        """Samples and rows of tiles that are worked on together."""
        in_row = self.columns * self.dilation**2
        rows = max(1, min(self.rows, _TOGETHER // in_row))
        samples = max(1, _TOGETHER // (in_row * rows))
        for sample, row in product(range(0, self.batch, samples), range(0, self.rows, rows)):
            yield slice(sample, sample + samples), slice(row, row + rows)

    def windows(self, padded: Tensor) -> Tensor:
        """The 6 × 6 inputs of every tile, which overlap: a view (6, 6, B, rows, phase, columns, phase, C)."""
        shape = (self.batch, 4 * self.rows + 2, self.dilation, 4 * self.columns + 2, self.dilation, -1)
        split: Tensor = padded.view(shape)
        return split.unfold(1, 6, 4).unfold(3, 6, 4).permute(6, 7, 0, 1, 2, 3, 4, 5)

    def blocks(self, results: Tensor) -> Tensor:
        """The results of every tile: a view (4, 4, B, rows, phase, columns, phase, D)."""
        shape = (self.batch, self.rows, 4, self.dilation, self.columns, 4, self.dilation, -1)
        return results.view(shape).permute(2, 5, 0, 1, 3, 4, 6, 7)

    def padded_size(self) -> tuple[int, int]:
        """Height and width of the inputs of all tiles."""
        return self.dilation * (4 * self.rows + 2), self.dilation * (4 * self.columns + 2)

    def size(self) -> tuple[int, int]:
        """Height and width of the results of all tiles."""
        return self.dilation * 4 * self.rows, self.dilation * 4 * self.columns

    def scratch(self, like: Tensor, count: int) -> tuple[Tensor, ...]:
        """Memory for the numbers of a part; to ask for it anew at every step costs as much as a transform."""
        samples, rows = next(self.parts())
        tiles = min(samples.stop, self.batch) * rows.stop * self.columns * self.dilation**2
        # One by one: glibc maps what is beyond 32 MiB anew at every call.
        return tuple(like.new_empty(36 * tiles * self.channels) for _ in range(count))


def tiling_of(x: Tensor, weight: Tensor, padding: int, dilation: int) -> tuple[Tiling, tuple[int, int]]:
    """The tiling, and height and width of the result."""
    height, width = (side + 2 * padding - 2 * dilation for side in x.shape[2:])
    rows, columns = (-(-side // (4 * dilation)) for side in (height, width))
    return Tiling(x.shape[0], rows, columns, dilation, max(weight.shape[:2])), (height, width)


def channels_last(x: Tensor) -> Tensor:
    """(B, C, H, W) → contiguous (B, H, W, C)."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return x.permute(0, 2, 3, 1)
    turned = x.new_empty(x.shape[0], x.shape[2] * x.shape[3], x.shape[1])
    for sample, source in zip(turned, x.flatten(2), strict=True):
        sample.copy_(source.t())  # in two dimensions PyTorch turns by blocks, three times faster than in four
    return turned.view(x.shape[0], *x.shape[2:], x.shape[1])


def framed(x: Tensor, before: int, size: tuple[int, int]) -> Tensor:
    """x (B, H, W, C) in a map of zeros of ``size``, ``before`` rows and columns from its corner."""
    height, width = x.shape[1:3]
    if (height, width) == size:
        return x
    framed = x.new_empty(x.shape[0], *size, x.shape[3])
    framed[:, :before] = framed[:, before + height :] = 0
    framed[:, :, :before] = framed[:, :, before + width :] = 0
    # What lies beyond the last tile is never seen.
    framed[:, before : before + height, before : before + width] = x[:, : size[0] - before, : size[1] - before]
    return framed
