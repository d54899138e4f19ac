"""How long ``import gatedinpaint`` takes when torch and numpy are there already.

    python -m benchmarks.import_time [--runs N] [--most MILLISECONDS]

Each run is a fresh process, which imports torch, numpy and safetensors first and is timed from then on. When the median
is over ``--most`` the exit code is 1.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
import json, sys, time
import numpy, torch, safetensors.torch
began = time.perf_counter()
import gatedinpaint
print(json.dumps(1e3 * (time.perf_counter() - began)))
"""
ROOT = Path(__file__).resolve().parents[1]


def milliseconds(*, runs: int) -> list[float]:
    """One value for each run, after one that compiles the files, as pip does at installation."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    values = []
    with tempfile.TemporaryDirectory() as compiled:
        environment["PYTHONPYCACHEPREFIX"] = compiled
        for run in range(runs + 1):
            command = [sys.executable, "-c", PROGRAM]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
            if run:
                values.append(float(json.loads(done.stdout)))
    return values


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.import_time", description="The time of import gatedinpaint on top of torch."
    )
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="fresh processes (default: 7)")
    parser.add_argument("--most", type=float, default=50.0, metavar="MS", help="exit code 1 above this (default: 50)")
    options = parser.parse_args(arguments)
    values = milliseconds(runs=options.runs)
    median = statistics.median(values)
    print(
        f"import gatedinpaint: {median:.1f} ms on top of torch, the median of {len(values)} "
        f"({min(values):.1f} to {max(values):.1f}); wanted: at most {options.most:g} ms."
    )
    return 0 if median <= options.most else 1


if __name__ == "__main__":
    sys.exit(main())
