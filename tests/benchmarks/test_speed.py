import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from benchmarks import speed


@pytest.mark.parametrize("name", ["gated-training", "attention-training"])
def test_plain_form_has_the_same_gradients(name: str) -> None:
    case = speed.cases(size=12)[name]
    (ours, *_), (plain, *_) = case.run("ours")(), case.run("plain")()
    assert ours.abs().max() > 0
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)


def test_a_wrong_form_is_not_measured() -> None:
    case = speed.cases(size=8)["gated-inference"]
    with torch.no_grad():
        case.plain.feature.weight.zero_()
    with pytest.raises(AssertionError, match="not close"):
        speed.check_equal(case)


def test_runs_take_turns_and_the_first_does_not_count() -> None:
    now, order = [0.0], []

    def run(name: str, seconds: list[float]) -> Callable[[], None]:
        def one() -> None:
            order.append(name)
            now[0] += seconds.pop(0)

        return one

    runs = {"a": run("a", [100, 1, 2, 9]), "b": run("b", [100, 5, 5, 5])}
    assert speed.interleaved(runs, repeats=3, clock=lambda: now[0]) == {"a": 2, "b": 5}
    assert order == ["a", "b"] * 4


def test_quick_run_prints_a_table_and_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speed.main(["--quick", "--size", "8", "--output", str(tmp_path / "results" / "speed.json")])
    results = json.loads((tmp_path / "results" / "speed.json").read_text("utf-8"))
    assert results["machine"]["torch"] == torch.__version__
    assert [row["speedup"] > 0 for row in results["rows"]] == [True] * 3
    assert capsys.readouterr().out.strip() == speed.markdown(results)


def test_table_shows_milliseconds_and_megabytes() -> None:
    row = {
        "case": "work",
        "seconds": {"plain": 0.02, "ours": 0.01},
        "speedup": 2.0,
        "peak_bytes": {"plain": 3e8, "ours": None},
    }
    host = {"processor": "P", "threads": 1, "torch": "2.5"}
    table = speed.markdown({"machine": host, "repeats": 7, "rows": [row]})
    assert table.splitlines()[-1] == "| work | 20.0 ms | 10.0 ms | 2.00 | 300 MB | n/a |"
