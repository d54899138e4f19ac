"""Which pixels one output pixel of an SPD block depends on, and through how many paths."""

from pathlib import Path

import torch
from matplotlib.colors import LogNorm
from torch import Tensor, nn

from docs._build.draw._paper import save, sheet, show
from gatedinpaint import SPDResBlock

FIGURES = ("spd.png",)
SIDE = 25


def draw(folder: Path) -> None:
    stacks = {
        "two 3×3": paths((1,)),
        "3×3 at dilation 8,\nthen 3×3": paths((8,)),
        "SPD-4:\n1, 2, 4, 8": paths((1, 2, 4, 8)),
        "SPD-8:\n1, 2, 3, 4, 5, 6, 8, 10": paths((1, 2, 3, 4, 5, 6, 8, 10)),
    }
    most = max(float(count.max()) for count in stacks.values())
    figure, axes = sheet(1, 4, height=2.15)
    for ax, (name, count) in zip(axes[0], stacks.items(), strict=True):
        rows = count.sum(1).nonzero().flatten()
        reach = int(rows[-1] - rows[0]) + 1
        title = f"{name}\n{int((count > 0).sum())} pixels within {reach}×{reach}"
        last = show(ax, count, title, cmap="viridis", norm=LogNorm(1, most))
        ax.set_facecolor("#eeeeee")
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    figure.colorbar(last, ax=axes[0, -1], label="paths", fraction=0.05, ticks=[1, 2, 4, 8, 16], format="%d")
    save(figure, folder / FIGURES[0])


def paths(dilations: tuple[int, ...]) -> Tensor:
    """Paths from each pixel to the centre of the output, (SIDE, SIDE): weights 1, no gates, no activations."""
    block = SPDResBlock(len(dilations), dilations=dilations)
    x = torch.zeros(1, 1, SIDE, SIDE, requires_grad=True)
    branches = [_ones_convolution(x, branch.conv) for branch in block.branches]
    y = sum(_ones_convolution(branch, block.fuse.conv) for branch in branches)
    (count,) = torch.autograd.grad(y[0, 0, SIDE // 2, SIDE // 2], x)
    return count[0, 0]


def _ones_convolution(x: Tensor, like: nn.Conv2d) -> Tensor:
    return nn.functional.conv2d(x, torch.ones(1, 1, 3, 3), padding=like.padding, dilation=like.dilation)
