"""k steps, a kill, and k more are 2k steps, bit for bit, in every precision, by one process and by two, with 0, 1 and 2
loader processes.

Run as a script the file is a host that imports everything and forks the ranks. The loader processes import this file as
well, so what they do not need is imported inside functions.
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HALF = 2
OPTIONS = ["--preset", "smoke", "--device", "cpu", "--threads", "1", "--validation-faces", "1", "--sheet-every", "1000"]
OPTIONS += ["--weights.perceptual", "0", "--weights.style", "0", "--steps-constant", str(2 * HALF)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "o2"])
def test_a_killed_run_ends_like_one_that_was_not(
    precision: str, world_size: int, training_set: Path, tmp_path: Path
) -> None:
    from tests.examples.same_state import assert_same, final

    command = [sys.executable, __file__, str(training_set), str(tmp_path), precision, str(world_size)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    whole = final(tmp_path / "whole")
    assert whole["step"] == 2 * HALF and len(whole["random"]) == world_size
    for workers in (0, 1, 2):
        assert_same(final(tmp_path / f"cut {workers}"), whole, f"with {workers} loader processes: state")


def forked(words: list[str], rank: int, world_size: int, port: int, *, kill: bool) -> int:
    """A rank in a process of its own; ``kill`` ends it right after the checkpoint of half the way."""
    from examples.mask_removal import train
    from examples.mask_removal.checkpoint import save_checkpoint

    child = os.fork()
    if child:
        return child
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world_size), LOCAL_RANK=str(rank))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))

    def save_and_die(folder: Path, state: dict[str, Any], **options: Any) -> None:
        save_checkpoint(folder, state, **options)
        if kill and state["step"] == HALF:
            os.kill(os.getpid(), signal.SIGKILL)

    train.save_checkpoint = save_and_die
    os._exit(train.main(words))


def run(words: list[str], world_size: int, *, kill: bool = False) -> None:
    """All ranks to their end; those that outlive a killed first one are killed too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, *others = [forked(words, rank, world_size, port, kill=kill) for rank in range(world_size)]
    code = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    assert code == (-signal.SIGKILL if kill else 0), code
    for other in others:
        if kill:
            os.kill(other, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(other, 0)[1])
        assert kill or code == 0, code


def host_main(data: str, folder: Path, precision: str, world_size: int) -> None:
    """One whole run without loader processes, then for each number of them one that is killed and goes on."""
    from examples.mask_removal.checkpoint import steps_of

    words = ["--data", data, "--precision", precision, *OPTIONS]
    run([*words, "--output", str(folder / "whole"), "--workers", "0"], world_size)
    for workers in (0, 1, 2):
        output = folder / f"cut {workers}"
        cut = [*words, "--output", str(output), "--workers", str(workers)]
        run(cut, world_size, kill=True)
        assert steps_of(output) == [HALF]
        run(cut, world_size)


if __name__ == "__main__":
    host_main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
