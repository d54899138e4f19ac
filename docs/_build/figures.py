"""Draw the figures of the site before it is built. Some show a person, and so they are made, not committed.

The plot of the benchmarks is not drawn but copied: it belongs to the measurement beside it.
"""

import importlib.util
import shutil
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

DRAW = Path(__file__).parent / "draw"
WEIGHTS = Path(__file__).parents[2] / "examples/mask_removal/weights/model.safetensors"
FIGURES = Path(__file__).parents[1] / "assets" / "generated"
SPEED = Path(__file__).parents[2] / "benchmarks/results/speed.png"


def on_pre_build(config: Any) -> None:
    """Called by mkdocs: draws what is missing or older than the scripts that draw and the weights that are shown."""
    shared = max(path.stat().st_mtime for path in (WEIGHTS, *DRAW.glob("_*.py")))
    for script in sorted(DRAW.glob("[!_]*.py")):
        module = load(script)
        figures = [FIGURES / name for name in module.FIGURES]
        newest = max(shared, script.stat().st_mtime)
        if all(figure.exists() and figure.stat().st_mtime > newest for figure in figures):
            continue
        with tempfile.TemporaryDirectory() as folder:
            module.draw(Path(folder))
            FIGURES.mkdir(parents=True, exist_ok=True)
            for figure in figures:
                shutil.move(Path(folder) / figure.name, figure)
    FIGURES.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SPEED, FIGURES / SPEED.name)


def load(script: Path) -> ModuleType:
    """The script as a module: ``FIGURES`` names what ``draw(folder)`` writes."""
    spec = importlib.util.spec_from_file_location(f"figures_{script.stem}", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script}: cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    on_pre_build(None)
