"""A picture of a run's figures over its steps."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg  # draws without display and without global state
from matplotlib.figure import Figure

_NO_CURVES = {"step", "epoch", "seconds"}
_COLUMNS = 4


def draw_curves(path: Path, logs: dict[str, Path]) -> None:
    """Draw every figure of the logs, each in its own axes.

    Args:
        path: the PNG to write, replaced at once.
        logs: prefix of the titles → file of JSON lines, each with a ``step``; null is left out.
    """
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for title, step, value in _points(logs):
        steps, values = curves.setdefault(title, ([], []))
        steps.append(step)
        values.append(value)
    rows = math.ceil(len(curves) / _COLUMNS)
    figure = Figure(figsize=(3.2 * _COLUMNS, 2.2 * max(1, rows)), layout="constrained")
    FigureCanvasAgg(figure)
    for place, title in enumerate(sorted(curves), start=1):
        axes = figure.add_subplot(rows, _COLUMNS, place)
        axes.plot(*curves[title], linewidth=0.8, marker="." if len(curves[title][0]) < 30 else None)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=6)
    temporary = path.with_suffix(".part")
    figure.savefig(temporary, dpi=100, format="png")
    temporary.replace(path)


def _points(logs: dict[str, Path]) -> Iterator[tuple[str, int, float]]:
    for prefix, path in logs.items():
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            line = json.loads(text)
            yield from (
                (prefix + name, line["step"], value)
                for name, value in line.items()
                if name not in _NO_CURVES and value is not None
            )
