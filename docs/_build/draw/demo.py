"""What ``make demo`` draws."""

from pathlib import Path

from examples.mask_removal import demo

FIGURES = ("demo.png",)


def draw(folder: Path) -> None:
    if demo.main(["--output", str(folder / "demo.png")]) != 0:
        raise RuntimeError("the demo's picture could not be drawn")
