"""The square around the hole that the discriminator and the feature networks look at."""

from collections.abc import Sequence

import torch
from torch import Tensor


def around_hole(mask: Tensor, images: Sequence[Tensor], side: int) -> list[Tensor]:
    """Cut the same square out of every image, sample by sample, with the hole as near to its middle as it goes.

    Composite and truth differ in the hole alone: a network that compares them learns nothing elsewhere, and costs as
    much there. The square is as large for every sample, so that a batch stays a batch; where the hole is larger its
    middle is seen.

    Args:
        mask: (B, 1, H, W), 1 = hole. A sample without a hole is seen in its middle.
        images: (B, C, H, W) each; the mask may be one of them.
        side: of the square in pixels; 0, or no less than the images, returns them as they are.

    Returns:
        The images, (B, C, min(side, H), min(side, W)).
    """
    height, width = mask.shape[2:]
    lines, columns = min(side, height) or height, min(side, width) or width
    if (lines, columns) == (height, width):
        return list(images)
    tops = _starts(mask.amax(dim=(1, 3)), lines)
    lefts = _starts(mask.amax(dim=(1, 2)), columns)
    squares = [(slice(top, top + lines), slice(left, left + columns)) for top, left in zip(tops, lefts, strict=True)]
    return [torch.stack([image[n][:, *square] for n, square in enumerate(squares)]) for image in images]


def _starts(hit: Tensor, length: int) -> list[int]:
    """Where a stretch of ``length`` begins that is centred on what is hit, for every row of (B, N)."""
    size = hit.shape[1]
    places = torch.arange(size, device=hit.device)
    first = torch.where(hit > 0, places, size).amin(1)
    last = torch.where(hit > 0, places, -1).amax(1)
    middle = torch.where(last < 0, size, first + last + 1) / 2
    return (middle - length / 2).round().clamp(0, size - length).long().tolist()
