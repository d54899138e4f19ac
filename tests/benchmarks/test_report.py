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
    "peak_bytes": {"plain": 3e8, "ours": None},
}
RESULTS = {"machine": {"processor": "P", "threads": 1, "torch": "2.5"}, "repeats": 7, "rows": [ROW]}


def test_table_has_a_line_for_every_form() -> None:
    assert markdown(RESULTS).splitlines()[-2:] == [
        "| work | plain | 20 ms | 10 ms | 2.00 | 1.5 | 300 MB | n/a |",
        "| work | other | 30 ms | 10 ms | 3.00 |  |  |  |",
    ]


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
