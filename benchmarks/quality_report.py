"""The table, the plot and the text of the quality benchmark; every number comes from its JSON file or the paper."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

from benchmarks.papers_table import PAPERS_TABLE

NOT_MEASURED = (
    "*Not measured yet: `make bench DATA=SET` measures on a training set, which this repository has none of.*"
)
_LEFT_OUT = ("PSNR", "SSIM", "SSIM band")
"""In the JSON file only: of composites, whole-image figures mostly say how large the hole is."""
_NOT_COMPARABLE = (
    "Not comparable with the tables above: other photos, other holes, networks of 256×256 trained on FFHQ, LPIPS of an "
    "unnamed network, and a FID of an unnamed number of images. PSNR and SSIM come from formulas that the released "
    "evaluation code fed with wrong ranges; whether these rows did is not known. FFM is cited nowhere in the paper."
)


def markdown(results: dict[str, Any], *, weights: str | None = None, papers: bool = True) -> str:
    """All tables, and with ``papers`` the paper's. ``weights`` is the checksum of the shipped network, to say
    so when another one was measured."""
    lines = []
    if weights is not None and weights != results["model"]:
        lines += ["!!! warning", "    Measured with other weights than those that are shipped now.", ""]
    for part in results["tables"]:
        lines += [f"**{part['title']}**", "", *_table(part["methods"]), ""]
        lines += [f"*{note}*\n" for note in part.get("notes", ())]
    for title, text in results.get("texts", {}).items():
        lines += [f"**{title}**", "", text, ""]
    if papers:
        lines += ["**Table 1 of the paper, as printed**", "", *_papers_table(), "", f"*{_NOT_COMPARABLE}*", ""]
    about = results["manifest"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines.append(f"`{about['command']}`; Python {about['python']}, {versions}; data {results['data'][:16]}….")
    return "\n".join(lines)


def page(path: Path, weights: str | None = None, *, papers: bool = True) -> str:
    """What the documentation shows: the tables of ``path``, or that there are none."""
    if not path.is_file():
        return NOT_MEASURED
    return markdown(json.loads(path.read_text(encoding="utf-8")), weights=weights, papers=papers)


def _table(methods: dict[str, dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for row in methods.values() for name in row if name not in _LEFT_OUT))
    lines = [f"| method | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for method, row in methods.items():
        lines.append(f"| {method} | {' | '.join(_cell(name, row.get(name)) for name in names)} |")
    return lines


def _cell(name: str, value: Any) -> str:
    # Words stand for what JSON has no number for.
    numbers = [float(x) for x in (value if isinstance(value, list) else [value]) if x is not None]
    if not numbers or math.isnan(numbers[0]):
        return "–"
    digits = 2 if name.startswith(("PSNR", "Fréchet", "FID")) else 3
    mean, *ends = (f"{x:.{digits}f}" for x in numbers)
    return f"{mean} ({'–'.join(ends)})" if ends else mean


def _papers_table() -> list[str]:
    lines = ["| method | data | PSNR | SSIM | FID | LPIPS |", "|---|---|---|---|---|---|"]
    for row in PAPERS_TABLE:
        cells = ["–" if value is None else f"{value:g}" for value in (row.psnr, row.ssim, row.fid, row.lpips)]
        lines.append(f"| {row.method} | {row.data} | {' | '.join(cells)} |")
    return [*lines, "| the authors' | | | | | |"]


def plot(results: dict[str, Any], path: Path) -> None:
    """Faithful against plausible: PSNR in the hole and LPIPS of every method of the first table, with intervals."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        print(f"no plot: {error}")
        return
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.subplots()
    markers = itertools.cycle("os^vDPX<>")
    for method, row in results["tables"][0]["methods"].items():
        x, y = row["PSNR hole"], row["LPIPS alex"]
        if not all(math.isfinite(float(number)) for number in (*x, *y)):
            continue
        errors = [[[value[0] - value[1]], [value[2] - value[0]]] for value in (x, y)]
        axes.errorbar(
            x[0], y[0], xerr=errors[0], yerr=errors[1], fmt=next(markers), markersize=5, capsize=2, label=method
        )
    axes.legend(fontsize=8, frameon=False)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:.2g}")
    axes.set_xlabel("PSNR in the hole, dB (higher is better)")
    axes.set_ylabel("LPIPS, AlexNet (lower is better)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)
