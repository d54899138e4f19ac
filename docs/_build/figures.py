"""Draw the figures of the site before it is built. Some show a person, and so they are made, not committed.

The plots of the benchmarks are not drawn but copied: they belong to the measurements beside them. The tables of the
quality benchmark are written from its JSON file.
"""

import hashlib
import importlib.util
import re
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

DRAW = Path(__file__).parent / "draw"
WEIGHTS = Path(__file__).parents[2] / "examples/mask_removal/weights/model.safetensors"
FIGURES = Path(__file__).parents[1] / "assets" / "generated"
RESULTS = Path(__file__).parents[2] / "benchmarks/results"


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
    shutil.copyfile(RESULTS / "speed.png", FIGURES / "speed.png")
    write_quality("quality")
    write_quality("quality-256", papers=False)


def on_page_content(html: str, **_: Any) -> str:
    """Called by mkdocs: every figure leads to itself in full size, which a phone does not show in the column."""
    return re.sub(r'<img [^>]*src="([^"]*assets/[^"]+)"[^>]*>', r'<a href="\1">\g<0></a>', html)


def write_quality(name: str, *, papers: bool = True) -> None:
    """The tables of a run of the quality benchmark, from its JSON file, as text that the page includes."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from benchmarks.quality_report import page

    results = RESULTS / f"{name}.json"
    text = page(results, hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(), papers=papers)
    if (plot := results.with_suffix(".png")).is_file():
        shutil.copyfile(plot, FIGURES / plot.name)
        text = f"![PSNR in the hole and LPIPS of every method](assets/generated/{plot.name})\n\n{text}"
    (FIGURES / f"{name}.txt").write_text(text, encoding="utf-8")


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
