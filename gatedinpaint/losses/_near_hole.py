"""Features of an image that is another one outside a hole, computed only where the hole can reach."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._conv2d import Conv2d


class Box(NamedTuple):
    """Rows top to bottom − 1 and columns left to right − 1 of a map."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, size: torch.Size) -> "Box":
        """One more pixel on each side, where there is one."""
        return Box(
            max(0, self.top - 1), min(size[-2], self.bottom + 1), max(0, self.left - 1), min(size[-1], self.right + 1)
        )

    def halved(self, size: torch.Size) -> "Box":
        """The pixels of the map at half size that a pixel of this box takes part in; at least one."""
        height, width = size[-2] // 2, size[-1] // 2
        top, left = min(self.top // 2, height - 1), min(self.left // 2, width - 1)
        return Box(
            top,
            max(top + 1, min(height, -(-self.bottom // 2))),
            left,
            max(left + 1, min(width, -(-self.right // 2))),
        )

    def doubled(self) -> "Box":
        """The same pixels in the map of twice the size."""
        return Box(*(2 * edge for edge in self))


def box_of(mask: Tensor) -> Box:
    """The smallest box around the holes of a batch; a single pixel where there is none."""
    rows, columns = ((mask > 0.5).any(dim=0).any(dim=0).any(dim=dim).nonzero() for dim in (1, 0))
    if not len(rows):
        return Box(0, 1, 0, 1)
    return Box(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


def features_near_hole(
    layers: Sequence[nn.Module], levels: Sequence[int], image: Tensor, target_maps: Sequence[Tensor], box: Box
) -> list[Tensor]:
    """The maps after ``levels``, whole; outside of what the hole reaches they are the target's.

    Args:
        layers: 3×3 convolutions with a border of zeros, ReLU, and 2×2 maximum poolings.
        levels: indices of layers.
        image: (B, 3, H, W) as the first layer takes it. Only what lies in the box receives a gradient.
        target_maps: what goes into each layer when the target passes, and what comes out of the last.
        box: where the image differs from the target.
    """
    x, features = _cut(image, box), []
    for index, layer in enumerate(layers):
        size = target_maps[index].shape
        if isinstance(layer, Conv2d):
            reached = box.grown(size)
            seen = reached.grown(size)
            x = _convolve(layer, _put(_copy(target_maps[index], seen), seen, x, box), reached, size)
            box = reached
        elif isinstance(layer, nn.MaxPool2d):
            reached = box.halved(size)
            seen = reached.doubled()
            x = layer(_put(_copy(target_maps[index], seen), seen, x, box))
            box = reached
        else:
            x = layer(x)
        if index in levels:
            target = target_maps[index + 1]
            whole = Box(0, target.shape[-2], 0, target.shape[-1])
            features.append(_put(_copy(target, whole), whole, x, box))
    return features


def _convolve(layer: Conv2d, x: Tensor, reached: Box, size: torch.Size) -> Tensor:
    """x without a border where the map goes on, with one of zeros where it ends."""
    ends = (reached.left == 0, reached.right == size[-1], reached.top == 0, reached.bottom == size[-2])
    if all(ends):
        result: Tensor = layer(x)
        return result
    return layer.without_border(F.pad(x, [int(end) for end in ends]) if any(ends) else x)


def _cut(x: Tensor, box: Box) -> Tensor:
    return x[..., box.top : box.bottom, box.left : box.right]


def _copy(x: Tensor, box: Box) -> Tensor:
    return _cut(x, box).clone(memory_format=torch.channels_last)


def _put(x: Tensor, place: Box, piece: Tensor, box: Box) -> Tensor:
    """Write the piece ``box`` of a map into x, the piece ``place``: but for an odd last row, which no pooling sees."""
    top, bottom = max(box.top, place.top), min(box.bottom, place.bottom)
    left, right = max(box.left, place.left), min(box.right, place.right)
    into = Box(top - place.top, bottom - place.top, left - place.left, right - place.left)
    _cut(x, into).copy_(_cut(piece, Box(top - box.top, bottom - box.top, left - box.left, right - box.left)))
    return x
