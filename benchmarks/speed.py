"""Speed and memory of the building blocks, against straightforward forms of the same computation.

Run it on an idle machine. The cases stand in ``benchmarks/*_speed.py``, the way of measuring in ``timing.py``.

    python -m benchmarks.speed [--quick] [--only NAME ...] [--skip NAME ...] [--threads N] [--output FILE]
"""

import argparse
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import timing
from benchmarks.report import markdown, plot
from benchmarks.tables import json_place

RESULTS = Path(__file__).parent / "results" / "speed.json"


def all_cases(*, quick: bool) -> list[timing.Case]:
    """Those of every ``benchmarks/*_speed.py``, sorted by file name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*_speed.py"))
    return [case for name in names for case in importlib.import_module(f"benchmarks.{name}").cases(quick=quick)]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Speed and memory of the building blocks, against plain forms.")
    parser.add_argument("--quick", action="store_true", help="small inputs, three runs: does everything work?")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases whose name contains one of these")
    parser.add_argument(
        "--skip", nargs="+", metavar="NAME", default=[], help="not those whose name contains one of these"
    )
    parser.add_argument("--threads", type=int, help="threads of torch; by default what torch chooses")
    parser.add_argument(
        "--output",
        type=json_place,
        metavar="FILE",
        help=f"the JSON file; table (.md) and plot (.png) go beside it. By default {RESULTS.name} in "
        "benchmarks/results, or nothing with --quick or --only",
    )
    parser.add_argument("--memory", help=argparse.SUPPRESS)  # CASE/FORM, for the fresh process
    options = parser.parse_args(arguments)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    if options.memory is not None:
        print(json.dumps(_memory(*options.memory.split("/"), quick=options.quick)))
        return

    cases = all_cases(quick=options.quick)
    if options.only:
        names = ", ".join(case.name for case in cases)
        cases = [case for case in cases if any(part in case.name for part in options.only)]
        if not cases:
            parser.error(f"no case is called {' or '.join(options.only)}; there are {names}")
    cases = [case for case in cases if not any(part in case.name for part in options.skip)]
    repeats = 3 if options.quick else 9
    output = options.output or (None if options.quick or options.only else RESULTS)
    unfinished = output and output.with_name(f".{output.name}.unfinished")
    results = {"machine": timing.machine(), "method": f"median of {repeats} turns of one to five runs", "rows": []}
    for case in cases:
        try:
            row = timing.measure(case, repeats=repeats, quick=options.quick)
        except ImportError as error:
            print(f"{case.name} skipped: {error}", flush=True)
            continue
        results["rows"].append(row)
        print(f"{case.name}: {', '.join(f'{ratio:.2f} × {form}' for form, ratio in row['ratios'].items())}", flush=True)
        if unfinished:  # after every case: the whole list takes half an hour
            unfinished.write_text(_json(results), "utf-8")
    if output and unfinished and results["rows"]:
        write(results, output)
        unfinished.unlink(missing_ok=True)
    print(f"\n{markdown(results)}")


def write(results: dict[str, Any], output: Path) -> None:
    """The JSON file, and beside it the table and the plot."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(_json(results), "utf-8")
    output.with_suffix(".md").write_text(markdown(results) + "\n", "utf-8")
    plot(results, output.with_suffix(".png"))


def _json(results: dict[str, Any]) -> str:
    return json.dumps(results, indent=2) + "\n"


def _memory(name: str, form: str, *, quick: bool) -> int | None:
    full, small = (
        next(case for case in all_cases(quick=size) if case.name == name).build()[form] for size in (quick, True)
    )
    return timing.peak_memory(full, warm_up=small)


if __name__ == "__main__":
    main()
