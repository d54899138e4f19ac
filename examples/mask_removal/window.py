"""The square around the hole that the discriminator and the feature networks look at."""

from collections.abc import Sequence

import torch
from torch import Tensor


def around_hole(mask: Tensor, images: Sequence[Tensor], share: float) -> list[Tensor]:
    """Cut the same square out of every image, sample by sample, with the hole as near to its middle as it goes.

    Composite and truth differ in the hole alone: a network that compares them learns nothing elsewhere, and costs as
    much there. The square is as large for every sample, so that a batch stays a batch; where the hole is larger its
    middle is seen.

    Args:
        mask: (B, 1, H, W), 1 = hole. A sample without a hole is seen in its middle.
        images: (B, C, H, W) each; the mask may be one of them.
        share: side of the square as a share of the images' shorter one; 1 returns them as they are.

    Returns:
        The images, (B, C, s, s) with s = share · min(H, W), rounded.
    """
    height, width = mask.shape[2:]
    if share == 1:
        return list(images)
    side = max(1, round(share * min(height, width)))
    tops, lefts = _starts(mask.amax(dim=(1, 3)), side), _starts(mask.amax(dim=(1, 2)), side)
    squares = [(slice(top, top + side), slice(left, left + side)) for top, left in zip(tops, lefts, strict=True)]
    return [torch.stack([image[n][:, *square] for n, square in enumerate(squares)]) for image in images]


def _starts(hit: Tensor, length: int) -> list[int]:
    """Where a stretch of ``length`` begins that is centred on what is hit, for every row of (B, N)."""
    size = hit.shape[1]
    places = torch.arange(size, device=hit.device)
    first = torch.where(hit > 0, places, size).amin(1)
    last = torch.where(hit > 0, places, -1).amax(1)
    middle = torch.where(last < 0, size, first + last + 1) / 2
    return (middle - length / 2).round().clamp(0, size - length).long().tolist()
