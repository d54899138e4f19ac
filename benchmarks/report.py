"""The table and the plot of a measurement; no number in them comes from anywhere else."""

from pathlib import Path
from typing import Any

HEADER = (
    *("work", "compared with", "its time", "ours", "times faster", "wanted"),
    *("its extra memory", "ours", "share", "at most"),
    *("GMAC", "GFLOP/s", "of peak"),
)
MISSED = "✗"


def markdown(results: dict[str, Any]) -> str:
    """One line per case and form that ours is compared with."""
    host = results["machine"]
    lines = [
        f"{host['processor']}, threads: {host['threads']}, torch {host['torch']}; {results['method']}.",
        f"{MISSED}: less than wanted. Peak: {host['matmul_gflops']:.0f} GFLOP/s in a product of matrices.",
        "",
        f"| {' | '.join(HEADER)} |",
        "|---" * len(HEADER) + "|",
    ]
    for row in results["rows"]:
        for place, form in enumerate(row["ratios"]):
            rate = _rate(row, host["matmul_gflops"]) if place == 0 else ["", "", ""]  # it is ours, whatever the form
            cells = [row["title"], form, *_speed(row, form), *_memory(row, form), *rate]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _speed(row: dict[str, Any], form: str) -> list[str]:
    times = [_milliseconds(row["seconds"][name]) for name in (form, "ours")]
    ratio, wanted = row["ratios"][form], row["wanted"].get(form)
    if wanted is None:
        return [*times, f"{ratio:.2f}", ""]
    return [*times, f"{ratio:.2f}{_mark(ratio >= wanted)}", f"{wanted:.3g}"]


def _memory(row: dict[str, Any], form: str) -> list[str]:
    peaks = row.get("peak_bytes", {})
    if form not in peaks:
        return ["", "", "", ""]
    most = row["wanted_memory"]
    limit = "" if most is None else f"{most:g}"
    if peaks[form] is None or peaks["ours"] is None:
        return [_megabytes(peaks[form]), _megabytes(peaks["ours"]), "n/a", limit]
    share = peaks["ours"] / max(peaks[form], 1)
    kept = most is None or share <= most
    return [_megabytes(peaks[form]), _megabytes(peaks["ours"]), f"{share:.2f}{_mark(kept)}", limit]


def _rate(row: dict[str, Any], peak: float) -> list[str]:
    if "gflops" not in row:
        return ["", "", ""]
    return [f"{row['gmac']:.3g}", f"{row['gflops']:.0f}", f"{100 * row['gflops'] / peak:.0f} %"]


def _mark(kept: bool) -> str:
    return "" if kept else f" {MISSED}"


def plot(results: dict[str, Any], path: Path) -> None:
    """A bar for every ratio, with a mark at the one that is wanted."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        print(f"no plot: {error}")
        return
    # The first case on top: bars are drawn from below.
    bars = [(row, form) for row in results["rows"] for form in row["ratios"]][::-1]
    # As wide as the text of the page, so that its letters are as large as they say.
    figure = Figure(figsize=(7.2, 0.7 + 0.36 * len(bars)), layout="constrained")
    axes = figure.subplots()
    for place, (row, form) in enumerate(bars):
        ratio, wanted = row["ratios"][form], row["wanted"].get(form)
        short = wanted is not None and ratio < wanted
        axes.barh(place, ratio, color="#c0553d" if short else "#3b6ea5", height=0.62)
        right = max(ratio, wanted or 0)  # of the mark, too
        axes.text(right * 1.08, place, f"{ratio:.2f}", va="center", fontsize=7.5)
        if wanted is not None:
            axes.plot([wanted, wanted], [place - 0.42, place + 0.42], color="black", linewidth=2)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    shown = [value for row, form in bars for value in (row["ratios"][form], row["wanted"].get(form, 1.0))]
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(min([0.8, *shown]) / 1.2, 1.6 * max([1.0, *shown]))  # ticks outside would widen it
    axes.set_yticks(range(len(bars)), [f"{row['title']}\nagainst {form}" for row, form in bars], fontsize=7.5)
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.set_xlabel("times faster; black marks: wanted", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds >= 1 else f"{1000 * seconds:.4g} ms"


def _megabytes(peak: int | None) -> str:
    return "n/a" if peak is None else f"{peak / 1e6:.0f} MB"
