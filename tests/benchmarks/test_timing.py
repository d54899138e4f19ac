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


def test_runs_take_turns_and_the_first_does_not_count() -> None:
    now, order = [0.0], []

    def run(name: str, seconds: list[float]) -> Callable[[], None]:
        def one() -> None:
            order.append(name)
            now[0] += seconds.pop(0)

        return one

    runs = {"a": run("a", [100, 1, 2, 9]), "b": run("b", [100, 5, 5, 5])}
    assert timing.interleaved(runs, repeats=3, pause=0, clock=lambda: now[0]) == {"a": 2, "b": 5}
    assert order == ["a", "b"] * 4


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
    megabytes = 256  # glibc keeps up to 64 of what earlier tests freed
    peak = timing.peak_memory(lambda: torch.ones(megabytes * 2**18).sum(), warm_up=lambda: torch.ones(8).sum())
    assert peak is not None
    assert megabytes * 2**20 * 0.95 < peak < megabytes * 2**20 * 1.2
