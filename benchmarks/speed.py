"""Speed and memory of the layers, against the plain form of the same mathematics.

Run it on an idle machine. Both forms get the same weights, are checked to give the same result, and take turns, so that
whatever else the machine does meets both. A time is the median of the runs; a ratio compares times of one run of this
script, never times of two.

    python -m benchmarks.speed [--quick] [--threads N] [--output FILE]
"""

import argparse
import copy
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatedinpaint import GatedConv2d, SelfAttention2d

RESULTS = Path(__file__).parent / "results" / "speed.json"
FORMS = ("plain", "ours")


class TwoConvolutions(nn.Module):
    """A gated convolution as its formula is written: one convolution for the feature, another for the gate."""

    def __init__(self, fused: GatedConv2d) -> None:
        super().__init__()
        self.feature, self.gate = copy.deepcopy(fused.conv), copy.deepcopy(fused.conv)
        for part, convolution in enumerate((self.feature, self.gate)):
            convolution.out_channels = fused.conv.out_channels // 2
            convolution.weight = nn.Parameter(fused.conv.weight.detach().chunk(2)[part].clone())
            convolution.bias = nn.Parameter(fused.conv.bias.detach().chunk(2)[part].clone())
        self.activation = copy.deepcopy(fused.activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.feature(x)) * self.gate(x).sigmoid()


class ExplicitAttention(nn.Module):
    """Self-attention that holds the N×N matrix of N = H·W positions."""

    def __init__(self, attention: SelfAttention2d) -> None:
        super().__init__()
        self.query, self.key, self.value, self.gamma = (
            copy.deepcopy(part) for part in (attention.query, attention.key, attention.value, attention.gamma)
        )

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        weights = (query.transpose(1, 2) @ key).softmax(dim=-1)
        return x + self.gamma * (value @ weights.transpose(1, 2)).reshape(x.shape)


class Case(NamedTuple):
    name: str
    channels: int
    size: int
    ours: nn.Module
    plain: nn.Module
    training: bool
    memory: bool  # measure peak memory too

    def run(self, form: str) -> Callable[[], Any]:
        """One pass through a form, forward or forward and backward, on an input made here."""
        module: nn.Module = getattr(self, form)
        x = torch.randn(1, self.channels, self.size, self.size, generator=torch.Generator().manual_seed(1))
        if not self.training:
            return torch.no_grad()(lambda: module(x))
        x.requires_grad_()
        # The input's gradient is asked for as well: in a network there is always a layer before.
        return lambda: torch.autograd.grad(module(x).sum(), [x, *module.parameters()])


def cases(*, size: int = 64) -> dict[str, Case]:
    torch.manual_seed(0)
    gated = GatedConv2d(128, 128, 3, dilation=4)
    attention = SelfAttention2d(128)
    nn.init.ones_(attention.gamma)  # 0 at first, where a wrong attention would look right
    two, explicit = TwoConvolutions(gated), ExplicitAttention(attention)
    return {
        "gated-inference": Case(
            f"GatedConv2d 128→128, {size}², dilation 4, inference", 128, size, gated, two, False, False
        ),
        "gated-training": Case(
            f"GatedConv2d 128→128, {size}², dilation 4, training", 128, size, gated, two, True, False
        ),
        "attention-training": Case(
            f"SelfAttention2d 128, {size}², training", 128, size, attention, explicit, True, True
        ),
    }


def check_equal(case: Case) -> None:
    """Raise unless both forms give the same result: a faster wrong answer is not faster."""
    with torch.no_grad():
        x = torch.randn(1, case.channels, case.size, case.size)
        torch.testing.assert_close(case.ours(x), case.plain(x), rtol=1e-4, atol=1e-4)


def interleaved(
    runs: dict[str, Callable[[], Any]], *, repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median seconds of each run, after one warm-up each; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            start = clock()
            run()
            if repeat > 0:
                times[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def peak_memory(run: Callable[[], Any], warm_up: Callable[[], Any]) -> int | None:
    """Bytes by which ``run`` raises this process's resident memory at its peak; None where there is no /proc."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return None

    def kilobytes(field: str) -> int:
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field))

    warm_up()  # libraries load their kernels at first use
    reset.write_text("5")  # the peak begins again at what is resident now
    before = kilobytes("VmRSS:")
    run()
    return 1024 * (kilobytes("VmHWM:") - before)


def peak_memory_in_fresh_process(name: str, form: str, *, size: int, threads: int) -> int | None:
    """Memory that an earlier run left to the allocator would hide the next one's: each form gets a process."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.speed",
        f"--memory={name}/{form}",
        f"--size={size}",
        f"--threads={threads}",
    ]
    root = Path(__file__).resolve().parents[1]
    value = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)
    return None if value is None else int(value)


def machine() -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(names) or None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def measure(*, size: int, repeats: int) -> dict[str, Any]:
    rows = []
    for key, case in cases(size=size).items():
        check_equal(case)
        seconds = interleaved({form: case.run(form) for form in FORMS}, repeats=repeats)
        row: dict[str, Any] = {"case": case.name, "seconds": seconds, "speedup": seconds["plain"] / seconds["ours"]}
        if case.memory:
            threads = torch.get_num_threads()
            row["peak_bytes"] = {
                form: peak_memory_in_fresh_process(key, form, size=size, threads=threads) for form in FORMS
            }
        rows.append(row)
    return {"machine": machine(), "repeats": repeats, "rows": rows}


def markdown(results: dict[str, Any]) -> str:
    """The table of a measurement; no number in it comes from anywhere else."""
    host = results["machine"]
    lines = [
        f"{host['processor']}, threads: {host['threads']}, torch {host['torch']};"
        f" median of {results['repeats']} runs, in turns.",
        "",
        "| work | plain | ours | speed-up | extra memory, plain | ours |",
        "|---|---|---|---|---|---|",
    ]
    for row in results["rows"]:
        times = [f"{1000 * row['seconds'][form]:.1f} ms" for form in FORMS]
        peaks = row.get("peak_bytes", dict.fromkeys(FORMS))
        memory = ["n/a" if peaks[form] is None else f"{peaks[form] / 1e6:.0f} MB" for form in FORMS]
        lines.append("| " + " | ".join([row["case"], *times, f"{row['speedup']:.2f}", *memory]) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of the layers, against their plain forms.")
    parser.add_argument(
        "--quick", action="store_true", help="small maps and few runs, to see that it works; writes no file"
    )
    parser.add_argument("--size", type=int, help="height and width of the feature maps")
    parser.add_argument("--threads", type=int, help="threads of torch; by default what torch chooses")
    parser.add_argument(
        "--output", type=Path, help=f"where the JSON goes; by default {RESULTS.name} in benchmarks/results"
    )
    parser.add_argument("--memory", help=argparse.SUPPRESS)  # CASE/FORM, for the fresh process
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    size = options.size or (16 if options.quick else 64)
    if options.memory is not None:
        name, form = options.memory.split("/")
        print(json.dumps(peak_memory(cases(size=size)[name].run(form), cases(size=8)[name].run(form))))
        return
    results = measure(size=size, repeats=3 if options.quick else 15)
    print(markdown(results))
    output = options.output or (None if options.quick else RESULTS)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(results, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
