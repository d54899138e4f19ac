from collections.abc import Callable

import pytest
import torch

from benchmarks import timing


def test_a_wrong_form_is_not_measured() -> None:
    forms = {"plain": lambda: torch.ones(3), "middle": lambda: torch.ones(3), "ours": lambda: torch.ones(3) + 1e-3}
    timing.check_equal(forms, tolerance=1e-2)
    with pytest.raises(AssertionError, match=r"(?s)^ours differs from plain: .*not close"):
        timing.check_equal(forms, tolerance=1e-5)


def test_every_tensor_of_a_form_is_compared() -> None:
    forms = {"plain": lambda: [torch.ones(3), torch.zeros(2)], "ours": lambda: (torch.ones(3), torch.ones(2))}
    with pytest.raises(AssertionError, match="not close"):
        timing.check_equal(forms, tolerance=1e-2)


@pytest.mark.parametrize(
    ("seconds", "turns"),  # "-" for a run that does not count
    [
        (5.0, ["-x", "x", "x"]),
        (0.5, ["-x", "-x", "-x"]),
        (0.09, ["-x", "-xx", "-xx"]),
        (0.001, ["-x", "-xxxxx", "-xxxxx"]),
    ],
)
def test_forms_take_turns_that_begin_with_a_run_that_does_not_count(seconds: float, turns: list[str]) -> None:
    now, order = [0.0], []

    def run(name: str, takes: float) -> Callable[[], None]:
        def one() -> None:
            order.append(name)
            now[0] += takes

        return one

    runs = {"a": run("a", seconds), "b": run("b", 2 * seconds)}
    medians = timing.interleaved(runs, repeats=3, pause=0, clock=lambda: now[0])
    assert medians == pytest.approx({"a": seconds, "b": 2 * seconds})
    assert "".join(order).replace("b", " ").split() == ["a" * len(turn) for turn in turns]


def test_a_time_is_the_median_of_what_counts() -> None:
    now, takes = [0.0], [100.0, 1.0, 2.0, 9.0]

    def run() -> None:
        now[0] += takes.pop(0)

    assert timing.interleaved({"a": run}, repeats=3, pause=0, clock=lambda: now[0]) == {"a": 2}


def test_row_compares_every_form_with_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"plain": 6.0, "other": 3.0, "ours": 2.0}
    monkeypatch.setattr(timing, "interleaved", lambda forms, repeats, pause: {name: seconds[name] for name in forms})
    case = timing.Case(
        "name", "title", lambda: dict.fromkeys(seconds, lambda: torch.ones(1)), wanted={"plain": 2.5}, gmac=4.0
    )
    assert timing.measure(case, repeats=3, quick=True)["wanted"] == {}
    row = timing.measure(case, repeats=3, quick=False)
    assert row["ratios"] == {"plain": 3.0, "other": 1.5}
    assert row["wanted"] == {"plain": 2.5}
    assert row["gmac"] == 4.0
    assert row["gflops"] == 4.0  # 8e9 operations in 2 seconds, in units of 1e9
    assert "peak_bytes" not in row


@pytest.mark.skipif(not timing.Path("/proc/self/clear_refs").exists(), reason="reads /proc")
def test_peak_memory_counts_what_is_freed_again() -> None:
    megabytes = 256
    peak = timing.peak_memory(lambda: torch.ones(megabytes * 2**18).sum(), warm_up=lambda: torch.ones(8).sum())
    assert peak is not None
    assert megabytes * 2**20 * 0.95 < peak < megabytes * 2**20 * 1.2
