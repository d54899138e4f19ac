"""The batch file for Slurm, with programs in Slurm's place that write down what they were asked."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "mask_removal" / "launch" / "slurm.sbatch"
NODES = {"SLURM_JOB_ID": "123456", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_NNODES": "2", "SLURM_GPUS_ON_NODE": "8"}
# srun runs until scancel says that it may end, as a trainer does that saves.
STUBS = {
    "scontrol": 'echo "scontrol $*" >> "$CALLS"; [ "$1" != show ] || { echo n1; sleep 0.2; echo n2; }',
    "scancel": 'echo "scancel $*" >> "$CALLS"; touch "$TOLD"',
    "srun": 'echo "srun $*" >> "$CALLS"; while [ -n "$ENDLESS" ] && [ ! -e "$TOLD" ]; do sleep 0.05; done\n'
    'sleep "${ENDLESS:-0}"; echo "srun ended" >> "$CALLS"; exit "$CODE"',
}


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., tuple[subprocess.Popen[bytes], Path]]:
    """Starts the batch file; returns it and the list of calls."""
    for name, text in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def start(*words: str, endless: bool = False, code: int = 0) -> tuple[subprocess.Popen[bytes], Path]:
        calls = tmp_path / "calls"
        settings = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "TOLD": str(tmp_path / "told")}
        settings |= {"ENDLESS": "0.3" if endless else "", "CODE": str(code), "SLURM_CPUS_PER_TASK": "64"}
        return subprocess.Popen(["bash", SCRIPT, *words], env={**os.environ, **NODES, **settings}), calls

    return start


def test_one_torchrun_to_a_machine(batch: Callable[..., tuple[subprocess.Popen[bytes], Path]]) -> None:
    process, calls = batch("--data", "a set", "--output", "RUN")
    assert process.wait(timeout=20) == 0
    show, srun, ended = calls.read_text().splitlines()
    assert show == "scontrol show hostnames n[1-2]" and ended == "srun ended"
    assert "--cpus-per-task=64 torchrun --nnodes 2 --nproc-per-node 8 " in srun
    assert "--rdzv-endpoint n1:23456 -m examples.mask_removal.train --workers 6 --data a set --output RUN" in srun


def test_a_failure_is_that_of_the_job(batch: Callable[..., tuple[subprocess.Popen[bytes], Path]]) -> None:
    process, calls = batch(code=7)
    assert process.wait(timeout=20) == 7
    assert "requeue" not in calls.read_text()


def test_a_job_out_of_time_lets_the_trainers_save_and_comes_again(
    batch: Callable[..., tuple[subprocess.Popen[bytes], Path]],
) -> None:
    process, calls = batch(endless=True, code=143)
    while not calls.exists() or "srun" not in calls.read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)  # as --signal=B:USR1@300 has it sent
    assert process.wait(timeout=20) == 0
    assert calls.read_text().splitlines()[2:] == [
        "scancel --signal=TERM 123456",
        "srun ended",
        "scontrol requeue 123456",
    ]
