"""The three kinds of random holes at several ratios, and what can be done with a hole."""

from pathlib import Path

from docs._build.draw._paper import save, sheet, show
from gatedinpaint import box_mask, dilate, erode, feather, free_form_mask, irregular_mask

FIGURES = ("hole-masks.png", "hole-operations.png")
SIZE = (128, 128)


def draw(folder: Path) -> None:
    figure, axes = sheet(3, 6, height=3.9)
    for row, kind in enumerate((box_mask, free_form_mask, irregular_mask)):
        for column, ratio in enumerate((0.05, 0.1, 0.2, 0.3, 0.4, 0.6)):
            mask = kind(SIZE, hole_ratio=ratio, seed=(1, column))
            show(axes[row, column], mask, f"{mask.mean().item():.3f}")
        axes[row, 0].set_title(f"{kind.__name__}\n{axes[row, 0].get_title()}", fontsize=8)
    save(figure, folder / "hole-masks.png")

    mask = irregular_mask(SIZE, hole_ratio=0.2, seed=7)
    figure, axes = sheet(1, 4, height=2.0)
    for ax, (name, result) in zip(
        axes[0],
        {
            "mask": mask,
            "dilate(mask, 6)": dilate(mask, 6),
            "erode(mask, 6)": erode(mask, 6),
            "feather(mask, 12)": feather(mask, 12),
        }.items(),
        strict=True,
    ):
        show(ax, result, name)
    save(figure, folder / "hole-operations.png")
