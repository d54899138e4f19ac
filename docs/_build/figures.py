"""Draw the figures of the site before it is built. They show a person, and so they are made, not committed."""

from pathlib import Path
from typing import Any

from examples.mask_removal import demo

FIGURES = Path(__file__).parents[1] / "assets" / "generated"


def on_pre_build(config: Any) -> None:
    """Called by mkdocs: writes the demo's picture unless it is newer than the weights that it shows."""
    picture = FIGURES / "demo.png"
    weights = Path(demo.__file__).parent / "weights" / "model.safetensors"
    if not picture.exists() or picture.stat().st_mtime < weights.stat().st_mtime:
        picture.unlink(missing_ok=True)
        if demo.main(["--output", str(picture)]) != 0:
            raise RuntimeError("the demo's picture could not be drawn")
