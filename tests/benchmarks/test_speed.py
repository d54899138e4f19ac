import json
import re
from pathlib import Path

import pytest
import torch

from benchmarks import speed, timing
from benchmarks.report import markdown

NAMES = [case.name for case in speed.all_cases(quick=True)]


@pytest.mark.parametrize("name", NAMES)
def test_forms_agree(name: str) -> None:
    case = next(case for case in speed.all_cases(quick=True) if case.name == name)
    try:
        forms = case.build()
    except ImportError as error:
        pytest.skip(str(error))
    assert list(forms)[-1] == "ours"
    assert set(case.wanted) <= set(list(forms)[:-1])
    timing.check_equal(forms, tolerance=case.tolerance)
    first = forms["ours"]()
    assert all(tensor.abs().max() > 0 for tensor in ([first] if isinstance(first, torch.Tensor) else first))


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES) > 0


def test_quick_run_prints_a_table_and_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results" / "speed.json"
    speed.main(["--quick", "--only", "attention-inference", "--output", str(file)])
    results = json.loads(file.read_text("utf-8"))
    assert results["machine"]["torch"] == torch.__version__
    assert [row["case"] for row in results["rows"]] == ["attention-inference"]
    assert results["rows"][0]["ratios"]["explicit"] > 0
    said, table = capsys.readouterr().out.split("\n\n", 1)
    assert re.fullmatch(r"attention-inference: [\d.]+ × explicit", said)
    assert table.strip() == markdown(results)
    assert file.with_suffix(".md").read_text("utf-8").strip() == markdown(results)


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    peak = timing.peak_memory_in_fresh_process("attention-training", "explicit", quick=True)
    assert peak is None or 0 <= peak < 64e6


def test_part_of_the_cases_does_not_replace_the_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speed, "RESULTS", tmp_path / "speed.json")
    monkeypatch.setattr(speed, "all_cases", lambda quick: [one("a"), one("b")])
    speed.main(["--only", "b"])
    assert list(tmp_path.iterdir()) == []
    for skipped, left in (([], ["a", "b"]), (["--skip", "b"], ["a"])):
        speed.main(skipped)
        rows = json.loads((tmp_path / "speed.json").read_text("utf-8"))["rows"]
        assert [row["case"] for row in rows] == left


def test_case_without_its_package_is_skipped_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> dict[str, timing.Form]:
        raise ImportError("scipy is not installed")

    monkeypatch.setattr(speed, "all_cases", lambda quick: [timing.Case("a", "first", missing), one("b")])
    speed.main(["--quick"])
    out = capsys.readouterr().out
    assert "a skipped: scipy is not installed" in out
    assert "| b |" in out


def test_unknown_case(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.main(["--quick", "--only", "nothing"])
    assert "no case is called nothing; there are " in capsys.readouterr().err


def one(name: str) -> timing.Case:
    return timing.Case(name, name, lambda: {"plain": lambda: torch.ones(1), "ours": lambda: torch.ones(1)})


def test_an_interrupted_run_leaves_the_results_and_keeps_what_it_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted() -> dict[str, timing.Form]:
        raise KeyboardInterrupt

    results, unfinished = tmp_path / "speed.json", tmp_path / ".speed.json.unfinished"
    results.write_text("measured before")
    monkeypatch.setattr(speed, "RESULTS", results)
    monkeypatch.setattr(speed, "all_cases", lambda quick: [one("a"), timing.Case("b", "b", interrupted)])
    with pytest.raises(KeyboardInterrupt):
        speed.main([])
    assert results.read_text() == "measured before"
    assert [row["case"] for row in json.loads(unfinished.read_text("utf-8"))["rows"]] == ["a"]
    speed.main(["--skip", "b"])
    assert [row["case"] for row in json.loads(results.read_text("utf-8"))["rows"]] == ["a"]
    assert not unfinished.exists()
    speed.main(["--skip", "a", "b"])  # nothing was measured
    assert [row["case"] for row in json.loads(results.read_text("utf-8"))["rows"]] == ["a"]


def test_figures_do_not_land_in_the_tables_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        speed.main(["--quick", "--output", str(tmp_path / "speed.md")])
    assert "must end in .json" in capsys.readouterr().err
