"""How the benchmarks measure: forms of one computation, taking turns.

A cases module, ``benchmarks/<theme>_speed.py``, has one function::

    def cases(*, quick: bool) -> list[Case]

A :class:`Case` holds a name, a title, and ``build``, which makes inputs and networks and returns the *forms* by name:
functions without arguments, the straightforward one first, ``"ours"`` last, any others between. Each returns a tensor
or a sequence of tensors; all must return the same, or nothing is measured. ``quick`` asks for inputs so small that the
whole list runs in seconds. Nothing heavy happens outside ``build``: it is called again in a fresh process to measure
memory, and an ImportError in it skips the case with its reason. So optional packages are imported inside ``build``.

    Case(
        "spline-grid",
        "TPS grid 512², 30 points",
        lambda: {"scipy": plain, "opencv": other, "ours": ours},
        wanted={"scipy": 5.0, "opencv": 3.0},  # times faster than each
        tolerance=1e-3,
    )
"""

import ctypes
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

Form = Callable[[], Tensor | Sequence[Tensor]]
ROOT = Path(__file__).resolve().parents[1]
# Seconds.
_PAUSE = 0.2
_TURN = 0.2
_LONG = 1.0


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    """Short, for ``--only``: "attention-training"."""
    title: str
    """What the table says: work and sizes."""
    build: Callable[[], dict[str, Form]]
    """Makes the forms; the first is the plain one, "ours" the last."""
    wanted: Mapping[str, float] = field(default_factory=dict)
    """Form → how many times faster ours should be. May name some forms only."""
    tolerance: float = 1e-4
    """Largest difference from the first form, as a share of the largest value of a tensor (or of 1)."""
    wanted_memory: float | None = None
    """Largest share of the first form's extra memory. None: memory is not measured."""
    most_repeats: int = 9
    """Fewer runs than asked for, where the plain form takes half a minute."""
    gmac: float | None = None
    """10⁹ multiply-adds of one run of ours, for a rate in the results."""


def measure(case: Case, *, repeats: int, quick: bool) -> dict[str, Any]:
    """The case's row: seconds and ratios by form, and memory where asked for."""
    forms = case.build()
    check_equal(forms, tolerance=case.tolerance)
    seconds = interleaved(forms, repeats=min(repeats, case.most_repeats), pause=0 if quick else _PAUSE)
    row: dict[str, Any] = {
        "case": case.name,
        "title": case.title,
        "seconds": seconds,
        "ratios": {form: seconds[form] / seconds["ours"] for form in seconds if form != "ours"},
        "wanted": {} if quick else dict(case.wanted),  # not meant for small inputs
    }
    if case.gmac is not None:
        row["gmac"] = case.gmac
        row["gflops"] = 2 * case.gmac / seconds["ours"]
    if case.wanted_memory is not None:
        row["wanted_memory"] = None if quick else case.wanted_memory
        row["peak_bytes"] = {
            form: peak_memory_in_fresh_process(case.name, form, quick=quick) for form in (next(iter(forms)), "ours")
        }
    return row


def check_equal(forms: Mapping[str, Form], *, tolerance: float) -> None:
    """Raise unless every form gives what the first gives: a faster wrong answer is not faster."""
    (first, plain), *others = forms.items()
    expected = _as_list(plain())
    for name, form in others:
        for actual, wanted in zip(_as_list(form()), expected, strict=True):
            atol = tolerance * max(1.0, float(wanted.abs().max()))
            try:
                torch.testing.assert_close(actual, wanted, rtol=0, atol=atol, check_dtype=False)
            except AssertionError as error:
                raise AssertionError(f"{name} differs from {first}: {error}") from None


def interleaved(
    forms: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    pause: float = _PAUSE,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each form; they take turns, so that a disturbance meets them all.

    A ``pause`` before each turn: the threads of a library's matrix products spin on for a while after their last one,
    and would take a core from the next form. A turn begins with a run that does not count, unless runs take so long
    that it makes no difference: threads that sleep take milliseconds to wake. Then as many count as fit into
    a fifth of a second, five at most.
    """
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(repeats):
        for name, run in forms.items():
            time.sleep(pause)
            last = times[name][-1] if times[name] else 0.0
            if last < _LONG:
                run()
            for _ in range(min(5, max(1, int(_TURN / last))) if last else 1):
                start = clock()
                run()
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_memory(run: Callable[[], object], *, warm_up: Callable[[], object]) -> int | None:
    """Bytes by which ``run`` raises this process's resident memory at its peak; None where there is no /proc."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None

    def kilobytes(name: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))

    warm_up()  # libraries load their kernels at first use
    getattr(ctypes.CDLL(None), "malloc_trim", lambda pad: 0)(0)  # what was freed before would be taken again
    reset.write_text("5")  # the peak begins again at what is resident now
    before = kilobytes("VmRSS:")
    run()
    return 1024 * (kilobytes("VmHWM:") - before)


def peak_memory_in_fresh_process(name: str, form: str, *, quick: bool) -> int | None:
    """Memory that an earlier run left to the allocator would hide the next one's: each form gets a process."""
    command = [sys.executable, "-m", "benchmarks.speed", f"--memory={name}/{form}"]
    command += [f"--threads={torch.get_num_threads()}", *(["--quick"] if quick else [])]
    # glibc shall give back at once what is freed: the peak is then what the form holds, not what the heap scatters.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "262144"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    value = json.loads(done.stdout)
    return None if value is None else int(value)


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names) or None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "matmul_gflops": matmul_gflops(),
    }


def matmul_gflops(size: int = 1024) -> float:
    """Rate of a square float32 matrix product, 10⁹ operations per second: the most that a layer can hope for."""
    a = torch.rand(size, size)
    return 2e-9 * size**3 / interleaved({"matmul": lambda: a @ a}, repeats=7)["matmul"]


def _as_list(value: Tensor | Sequence[Tensor]) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else list(value)
