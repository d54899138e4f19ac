"""A partial convolution beside a plain one: the border of the hole, and how the hole closes."""

from pathlib import Path

import torch
from skimage.data import astronaut

from docs._build.draw._paper import save, sheet, show
from gatedinpaint import PartialConv2d, composite, irregular_mask, photo_to_image

FIGURES = ("partial-convolution.png",)
LAYERS = 12


def draw(folder: Path) -> None:
    image = photo_to_image(astronaut()[0:160, 150:310]).mean(1, keepdim=True)
    # Brightness from 0 on: then the zeros of the hole are black, and darken what is averaged with them.
    image = (image + 1) / 2
    mask = irregular_mask((160, 160), hole_ratio=0.25, seed=5)
    layer = PartialConv2d(1, 1, 7, bias=False)
    torch.nn.init.constant_(layer.conv.weight, 1 / 49)
    with torch.inference_mode():
        seen = composite(torch.zeros_like(image), image, mask)
        plain = layer.conv(seen)
        partial, smaller = layer(image, mask)
        x, left, holes = image, mask, []
        for _ in range(LAYERS):
            x, left = layer(x, left)
            holes.append(left)

    figure, axes = sheet(1, 5, height=1.65)
    gray = {"vmin": 0, "vmax": 1}
    show(axes[0, 0], seen, "image, hole = 0", **gray)
    show(axes[0, 1], plain, "7×7 mean, plain", **gray)
    show(axes[0, 2], partial, "7×7 mean, partial", **gray)
    show(axes[0, 3], smaller, "hole that is left", **gray)
    age = torch.stack([mask, *holes]).sum(0)  # after how many layers a pixel is known
    bar = show(axes[0, 4], age, "layers until known", cmap="viridis")
    figure.colorbar(bar, ax=axes[0, 4], fraction=0.05)
    save(figure, folder / FIGURES[0])
