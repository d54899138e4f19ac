"""What was measured, by whom, on what: figures with their intervals, per image and by size of the hole."""

import itertools
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatedinpaint.metrics.bootstrap import Interval, mean_interval

HIGHER_IS_BETTER = ("PSNR", "SSIM", "identity")
# How figures travel for which JSON has no number.
_NOT_FINITE = ("inf", "-inf", "nan")


@dataclass(frozen=True)
class InpaintingReport:
    """The figures of one method, made by :meth:`InpaintingEvaluation.reports`.

    Example:
        >>> figures = {"a": 20.0, "b": 22.0}
        >>> rows = [{"id": id, "hole_ratio": 0.2, "PSNR hole": value} for id, value in figures.items()]
        >>> report = InpaintingReport("ours", {"images": 2}, rows, {}, {"seed": 0})
        >>> report.summary()["PSNR hole"].mean
        21.0
        >>> report.compare(report)["PSNR hole"]
        Interval(mean=0.0, low=0.0, high=0.0)
    """

    method: str
    protocol: dict[str, Any]
    """What must be the same in two reports before their figures may stand in one table: a hash of all images and holes,
    their number and sizes, the width of the band, the range of values, the names of the figures."""
    rows: list[dict[str, Any]]
    """One per image: id, share of the hole in the image, and every figure."""
    distances: dict[str, float]
    """Figures of the whole set, which no image has by itself: Fréchet distances by name."""
    manifest: dict[str, Any]
    """Versions, machine, command, seed: what one needs to do it again."""

    @property
    def figures(self) -> list[str]:
        """The names of what was measured per image."""
        return [name for name in self.rows[0] if name not in ("id", "hole_ratio")]

    def summary(self, *, least: float = 0.0, most: float = 1.0) -> dict[str, Interval]:
        """Every figure's mean and interval, over the images whose hole covers from ``least`` to below ``most`` of them.

        ``most=1.0`` includes 1. Empty where there is no such image.
        """
        rows = [row for row in self.rows if least <= row["hole_ratio"] < most or most == row["hole_ratio"] == 1]
        return {name: mean_interval(row[name] for row in rows) for name in self.figures} if rows else {}

    def by_hole_ratio(self, edges: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)) -> dict[str, dict[str, Any]]:
        """:meth:`summary` and number of images for each range of hole ratios that occurs, such as ``"10–20 %"``."""
        table = {}
        for least, most in itertools.pairwise(edges):
            if summary := self.summary(least=least, most=most):
                images = sum(least <= row["hole_ratio"] < most or most == row["hole_ratio"] == 1 for row in self.rows)
                table[f"{100 * least:g}–{100 * most:g} %"] = {"images": images, **summary}
        return table

    def compare(self, other: "InpaintingReport") -> dict[str, Interval]:
        """By how much this method's figures exceed the other's on the same images, with the interval of the difference.

        Raises:
            ValueError: the reports were made by different protocols; the message says in what they differ.
        """
        check_same_protocol([self, other])
        theirs = {row["id"]: row for row in other.rows}
        # Where both are infinite (both perfect) they do not differ.
        return {
            name: mean_interval(_minus(row[name], theirs[row["id"]][name]) for row in self.rows)
            for name in self.figures
        }

    def markdown(self) -> str:
        """Three tables: all images, by hole ratio, and what was measured on what."""
        lines = [f"### {self.method}", "", "| figure | mean | 95 % of |", "|---|---|---|"]
        lines += [f"| {name} | {_cell(name, x.mean)} | {_range(name, x)} |" for name, x in self.summary().items()]
        lines += [f"| {name} | {value:.2f} | |" for name, value in self.distances.items()]
        lines += ["", f"| hole | images | {' | '.join(self.figures)} |", "|---" * (2 + len(self.figures)) + "|"]
        for label, row in self.by_hole_ratio().items():
            cells = [_cell(name, row[name].mean) for name in self.figures]
            lines.append(f"| {label} | {row['images']} | {' | '.join(cells)} |")
        about = {**self.protocol, **self.manifest}
        lines += ["", *(f"- {key}: {value}" for key, value in about.items() if key != "figures")]
        return "\n".join(lines)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write ``path``, which ends in ``.json``, and the tables beside it as ``.md``.

        Raises:
            ValueError: another ending: the tables' name comes from it.
        """
        path = Path(path)
        if path.suffix != ".json":
            raise ValueError(f"path must end in .json; got {path}. The tables are written beside it, as .md.")
        path.parent.mkdir(parents=True, exist_ok=True)
        content = json.dumps(_strict(asdict(self)), indent=1, ensure_ascii=False, allow_nan=False)
        path.write_text(content + "\n", encoding="utf-8")
        path.with_suffix(".md").write_text(self.markdown() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "InpaintingReport":
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: the file holds no report.
        """
        try:
            report = cls(**json.loads(Path(path).read_text(encoding="utf-8")))
            for figures in (*report.rows, report.distances):
                words = [name for name, value in figures.items() if value in _NOT_FINITE and name != "id"]
                figures.update({name: float(figures[name]) for name in words})
            report.summary()
        except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise ValueError(f"{path}: expected a report written by InpaintingReport.save: {error}") from error
        return report


def check_same_protocol(reports: Sequence[InpaintingReport]) -> None:
    """Raise, naming the differences, unless all reports were made by one protocol."""
    first = reports[0]
    for other in reports[1:]:
        keys = sorted(first.protocol.keys() | other.protocol.keys())
        different = [
            f"{key}: {first.protocol.get(key)} and {other.protocol.get(key)}"
            for key in keys
            if first.protocol.get(key) != other.protocol.get(key)
        ]
        if different:
            raise ValueError(
                f"{first.method} and {other.method} were measured by different protocols and cannot be compared; "
                f"{'; '.join(different)}. Measure both on the same images and holes."
            )


def summary_table(
    reports: Sequence[InpaintingReport] | Mapping[str, InpaintingReport], figures: Sequence[str] | None = None
) -> str:
    """A Markdown table, method by figure; the best of each column is bold.

    Args:
        reports: by one protocol; a list, or what :meth:`InpaintingEvaluation.reports` returns.
        figures: those shown, in their order; by default all.

    Raises:
        ValueError: no reports, or of different protocols; a figure that no report has.

    Example:
        >>> rows = [{"id": "a", "hole_ratio": 0.2, "PSNR hole": 20.0}]
        >>> print(summary_table([InpaintingReport("Telea", {}, rows, {}, {})]))
        | method | PSNR hole |
        |---|---|
        | Telea | 20.00 |
    """
    reports = list(reports.values() if isinstance(reports, Mapping) else reports)
    if not reports:
        raise ValueError("reports must hold at least one report; got none.")
    check_same_protocol(reports)
    rows = [{name: x.mean for name, x in report.summary().items()} | report.distances for report in reports]
    shown = list(rows[0]) if figures is None else list(figures)
    known = {name for row in rows for name in row}
    if unknown := [name for name in shown if name not in known]:
        raise ValueError(f"figures must be among {sorted(known)}; got {unknown}.")
    best = {}
    for name in shown:
        values = [row[name] for row in rows if not math.isnan(row.get(name, math.nan))]
        best[name] = (max if name.startswith(HIGHER_IS_BETTER) else min)(values, default=math.nan)
    lines = [f"| method | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    for report, row in zip(reports, rows, strict=True):
        cells = [_cell(name, row.get(name, math.nan)) for name in shown]
        marked = [
            f"**{cell}**" if row.get(name) == best[name] and len(rows) > 1 else cell
            for name, cell in zip(shown, cells, strict=True)
        ]
        lines.append(f"| {report.method} | {' | '.join(marked)} |")
    return "\n".join(lines)


def _minus(first: float, second: float) -> float:
    return 0.0 if first == second else first - second


def _cell(name: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.2f}" if name.startswith(("PSNR", "Fréchet", "FID")) else f"{value:.4f}"


def _range(name: str, interval: Interval) -> str:
    return f"{_cell(name, interval.low)} to {_cell(name, interval.high)}"


def _strict(value: Any) -> Any:
    """JSON has no infinity: it travels as a word."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    return [_strict(item) for item in value] if isinstance(value, list | tuple) else value
