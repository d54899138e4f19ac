"""Contextual attention on a texture: where the hole borrows, and what comes out."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from skimage.data import brick
from torch import Tensor

from docs._build.draw._paper import ORANGE, save, sheet, show
from gatedinpaint import ContextualAttention2d, composite

FIGURES = ("contextual-attention.png",)
SIDE = 96
# So small beside the image that the scores hardly change, and scaled back afterwards.
TRACE = 1e-3


def draw(folder: Path) -> None:
    image = F.interpolate(torch.from_numpy(brick().astype(np.float32))[None, None], scale_factor=1 / 2, mode="area")
    image = image[..., :SIDE, :SIDE]
    # Around its mean, so that mortar is positive and brick negative: patches are compared by their direction.
    image = ((image - image.mean()) / (3 * image.std())).clamp(-1, 1)
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 32:64, 32:64] = 1
    coarse = composite(_blur(image), image, mask)

    figure, axes = sheet(1, 5, height=1.75)
    near = (..., slice(16, 80), slice(16, 80))
    show(axes[0, 0], coarse[near], "coarse fill", vmin=-1, vmax=1)
    for column, fuse in ((1, False), (2, True)):
        filled, source = _borrow(coarse, mask, fuse=fuse)
        title = "borrowed, fused" if fuse else "borrowed, not fused"
        show(axes[0, column], composite(filled, image, mask)[near], title, vmin=-1, vmax=1)
    show(axes[0, 3], image[near], "truth", vmin=-1, vmax=1)
    show(axes[0, 4], coarse, "where from (fused)", vmin=-1, vmax=1)
    rows, columns = np.mgrid[38:64:10, 38:64:10]
    from_y, from_x = (source[0, axis, rows, columns].numpy() for axis in (0, 1))
    arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "color": ORANGE, "width": 0.012}
    axes[0, 4].quiver(from_x, from_y, columns - from_x, rows - from_y, **arrows)
    save(figure, folder / FIGURES[0])


def _borrow(coarse: Tensor, mask: Tensor, *, fuse: bool) -> tuple[Tensor, Tensor]:
    """The result, and the mean place (y, x) from which each pixel came: coordinates travel along as channels."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    places = TRACE / SIDE * torch.stack([y, x])[None].float()
    layer = ContextualAttention2d(softmax_scale=200.0, fuse=fuse)
    with torch.inference_mode():
        result = layer(torch.cat([coarse, places], dim=1), mask)
    return result[:, :1], result[:, 1:] * SIDE / TRACE


def _blur(image: Tensor) -> Tensor:
    small = F.interpolate(image, scale_factor=1 / 4, mode="area")
    return F.interpolate(small, size=image.shape[2:], mode="bicubic", align_corners=False)
