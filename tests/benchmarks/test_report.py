import json
import sys
from pathlib import Path

import pytest

from benchmarks.report import markdown, plot

ROW = {
    "case": "name",
    "title": "work",
    "seconds": {"plain": 0.02, "other": 0.03, "ours": 0.01},
    "ratios": {"plain": 2.0, "other": 3.0},
    "wanted": {"plain": 1.5},
    "peak_bytes": {"plain": 300e6, "ours": 30e6},
    "wanted_memory": 0.1,
    "gmac": 1.25,
    "gflops": 250.0,
}
MACHINE = {"processor": "P", "threads": 1, "torch": "2.5", "matmul_gflops": 500.0}
RESULTS = {"machine": MACHINE, "method": "median of 7 turns", "rows": [ROW]}


def cells(**changes: object) -> list[list[str]]:
    lines = markdown(RESULTS | {"rows": [ROW | changes]}).splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| work |")][1:]


def test_table_has_a_line_for_every_form() -> None:
    lines = markdown(RESULTS).splitlines()
    assert lines[0] == "P, threads: 1, torch 2.5; median of 7 turns."
    assert lines[1] == "✗: less than wanted. Peak: 500 GFLOP/s in a product of matrices."
    assert lines[-2:] == [
        "| work | plain | 20 ms | 10 ms | 2.00 | 1.5 | 300 MB | 30 MB | 0.10 | 0.1 | 1.25 | 250 | 50 % |",
        "| work | other | 30 ms | 10 ms | 3.00 |  |  |  |  |  |  |  |  |",
    ]
    assert len({line.count("|") for line in lines[3:]}) == 1


def test_what_is_missed_is_marked() -> None:
    ((*_, ratio, wanted, _, _, share, most, _, _, _), _) = cells(
        wanted={"plain": 2.5}, peak_bytes={"plain": 100e6, "ours": 50e6}
    )
    assert (ratio, wanted) == ("2.00 ✗", "2.5")
    assert (share, most) == ("0.50 ✗", "0.1")


def test_memory_that_could_not_be_measured_and_none_that_was_wanted() -> None:
    assert cells(peak_bytes={"plain": None, "ours": None})[0][6:10] == ["n/a", "n/a", "n/a", "0.1"]
    assert cells(wanted_memory=None)[0][6:10] == ["300 MB", "30 MB", "0.10", ""]


def test_without_matplotlib_there_is_no_plot_and_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    plot(RESULTS, tmp_path / "speed.png")
    assert "no plot: " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot(RESULTS, tmp_path / "speed.png")
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_the_published_table_is_that_of_its_figures() -> None:
    results = Path(__file__).parents[2] / "benchmarks" / "results"
    figures = json.loads((results / "speed.json").read_text("utf-8"))
    assert (results / "speed.md").read_text("utf-8") == markdown(figures) + "\n"
