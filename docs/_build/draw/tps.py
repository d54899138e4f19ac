"""A thin-plate spline: the map, its determinant, and what the regularisation does."""

from pathlib import Path

import numpy as np
import torch
from skimage.data import astronaut

from docs._build.draw._paper import BLUE, GREY, ORANGE, RED, save, sheet, show
from gatedinpaint import ThinPlateSpline, photo_to_image, warp_image

FIGURES = ("tps.png", "tps-regularization.png")
SIDE = 200


def draw(folder: Path) -> None:
    image = photo_to_image(astronaut()[:SIDE, 120 : 120 + SIDE])
    corners = [[10.0, 10.0], [190.0, 10.0], [10.0, 190.0], [190.0, 190.0]]
    source = torch.tensor([*corners, [70.0, 100.0], [130.0, 100.0], [100.0, 140.0]])
    gentle = source + torch.tensor([*4 * [[0.0, 0.0]], [-18.0, -6.0], [18.0, -6.0], [0.0, 24.0]])
    folding = source + torch.tensor([*4 * [[0.0, 0.0]], [48.0, 0.0], [-48.0, 0.0], [0.0, 24.0]])

    figure, axes = sheet(1, 5, height=1.6)
    show(axes[0, 0], image, "image, target points")
    axes[0, 0].plot(*gentle.T, "o", color=ORANGE, markersize=3)
    for column, (name, target) in enumerate({"gentle": gentle, "folding": folding}.items()):
        spline = ThinPlateSpline.fit(source, target)
        warped, _ = warp_image(image, spline)
        ax = axes[0, 1 + 2 * column]
        show(ax, warped, f"warped, {name}")
        ax.plot(*source.T, "o", color=BLUE, markersize=3)
        y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        area = spline.jacobian(torch.stack([x, y], -1).reshape(-1, 2)).det().reshape(SIDE, SIDE)
        ax = axes[0, 2 + 2 * column]
        bar = show(ax, area, "det J" + (", line: 0" if area.min() <= 0 else ""), cmap="RdBu", vmin=-1, vmax=3)
        if area.min() <= 0:
            ax.contour(area, levels=[0], colors="black", linewidths=0.8)
    figure.colorbar(bar, ax=axes, pad=0.01, shrink=0.8, aspect=18, extend="both")
    save(figure, folder / "tps.png")
    _regularization(folder)


def _regularization(folder: Path) -> None:
    """One coordinate of the map along a line, for noisy control points."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(0, 200, 9), [0.0, 100.0, 200.0])
    source = torch.tensor(np.stack([x.ravel(), y.ravel()], axis=1))
    target = source + torch.tensor(rng.normal(0, 6, source.shape))
    line = torch.stack([torch.linspace(0, 200, 201), torch.full((201,), 100.0)], dim=1)
    figure, axes = sheet(1, 3, height=2.0, sharey=True)
    for ax, regularization in zip(axes[0], (0.0, 1e3, 1e6), strict=True):
        spline = ThinPlateSpline.fit(source, target, regularization=regularization)
        ax.plot(line[:, 0], (spline(line) - line)[:, 1], color=BLUE)
        on_line = source[:, 1] == 100
        ax.plot(source[on_line, 0], (target - source)[on_line, 1], "o", color=RED, markersize=3)
        ax.axhline(0, color=GREY, linewidth=0.6)
        ax.set_title(f"regularization={regularization:g}", fontsize=8)
        ax.set(xlabel="x, pixels")
    axes[0, 0].set_ylabel("moved down, pixels")
    save(figure, folder / "tps-regularization.png")
