"""What the other ranks do when something happens to one of them: all of them end, soon, and say why.

Run as a script the file is a host that imports everything once and forks the ranks.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = ["--preset", "smoke", "--device", "cpu", "--threads", "1", "--validation-faces", "1", "--sheet-every", "1000"]
OPTIONS += ["--weights.perceptual", "0", "--weights.style", "0", "--workers", "0", "--checkpoint-every", "1000"]
SCENES = ("error", "settings", "set", "slow save")


@pytest.fixture(scope="module")
def told(training_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Scene → for both ranks exit code, seconds to the end, what they wrote to stderr, and the steps saved by then."""
    folder = tmp_path_factory.mktemp("failures")
    other = shutil.copytree(training_set, folder / "other")
    lines = (other / "index.jsonl").read_text().splitlines(keepends=True)
    (other / "index.jsonl").write_text("".join(line for line in lines if '"face-0"' not in line))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(training_set), str(other), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    scenes: dict[str, list[dict[str, Any]]] = json.loads(done.stdout.splitlines()[-1])
    return scenes


@pytest.mark.slow
def test_an_error_is_said_and_ends_all_though_leaving_the_group_would_block(
    told: dict[str, list[dict[str, Any]]],
) -> None:
    """As in NCCL, where it is a collective call and the other ranks are in another one."""
    first, second = told["error"]
    assert second["code"] == 2 and second["errors"] == "train: rank 1: of its own.\n"
    assert first["code"] == 2 and first["errors"].startswith(
        "train: rank 0: another rank has ended; the cause is there: "
    )
    assert first["errors"].count("\n") == 1
    assert max(first["seconds"], second["seconds"]) < 30


@pytest.mark.slow
def test_ranks_of_other_settings_do_not_train_together(told: dict[str, list[dict[str, Any]]]) -> None:
    for rank, said in enumerate(told["settings"]):
        assert said["code"] == 2
        assert said["errors"] == (
            f"train: rank {rank}: rank 1 has other settings than rank 0: seed 0 → 5. Give every machine the same "
            "command.\n"
        )


@pytest.mark.slow
def test_ranks_of_other_sets_do_not_train_together(told: dict[str, list[dict[str, Any]]]) -> None:
    for said in told["set"]:
        assert said["code"] == 2
        assert "rank 1 finds 4 training samples (checksum " in said["errors"] and "rank 0 5 (" in said["errors"]
        assert said["errors"].count("\n") == 1 and said["steps"] == []


@pytest.mark.slow
def test_no_rank_leaves_before_the_first_one_has_saved(told: dict[str, list[dict[str, Any]]]) -> None:
    """``torchrun`` ends the others soon after one of them has gone, in the middle of what they do."""
    first, second = told["slow save"]
    assert first["code"] == second["code"] == 128 + signal.SIGTERM
    assert first["steps"] == second["steps"] and len(second["steps"]) == 1


def train_main(words: list[str], scene: str, rank: int) -> int:
    """A rank, with what the scene has happen to it."""
    import torch.distributed as dist

    from examples.mask_removal import train

    save, average = train.save_checkpoint, train.update_average

    def save_slowly(*arguments: Any, **options: Any) -> None:
        time.sleep(3)
        save(*arguments, **options)

    def fail(*arguments: Any) -> None:
        average(*arguments)
        raise ValueError("of its own.")

    if scene == "slow save":
        train.save_checkpoint = save_slowly
    if scene == "error" and rank == 1:
        dist.destroy_process_group = lambda: time.sleep(1000)
        train.update_average = fail
    return train.main(words)


def forked(words: list[str], scene: str, rank: int, port: int, errors: Path, run: Path) -> int:
    child = os.fork()
    if child:
        return child
    for number, path in ((1, os.devnull), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    code = train_main(words, scene, rank)
    sys.stderr.flush()
    from examples.mask_removal.checkpoint import steps_of

    errors.with_suffix(".steps").write_text(json.dumps(steps_of(run)))
    os._exit(code)


def play(scene: str, words: Callable[[int], list[str]], run: Path) -> list[dict[str, Any]]:
    """Both ranks to their end, or until it takes too long."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [run.with_name(f"{run.name} {rank}.errors") for rank in (0, 1)]
    ranks = [forked([*words(rank), "--output", str(run)], scene, rank, port, files[rank], run) for rank in (0, 1)]
    if scene == "slow save":
        while not (run / "log.jsonl").exists():
            time.sleep(0.02)
        os.kill(ranks[1], signal.SIGTERM)
    began, ended = time.monotonic(), {}
    while len(ended) < 2 and time.monotonic() - began < 60:
        for rank in {0, 1} - ended.keys():
            done, status = os.waitpid(ranks[rank], os.WNOHANG)
            if done:
                ended[rank] = os.waitstatus_to_exitcode(status), time.monotonic() - began
        time.sleep(0.02)
    for rank in {0, 1} - ended.keys():
        os.kill(ranks[rank], signal.SIGKILL)
        os.waitpid(ranks[rank], 0)
        ended[rank] = None, 60.0
    return [
        {
            "code": ended[rank][0],
            "seconds": ended[rank][1],
            "errors": files[rank].read_text(),
            "steps": json.loads(steps.read_text()) if (steps := files[rank].with_suffix(".steps")).exists() else None,
        }
        for rank in (0, 1)
    ]


def host_main(data: str, other: str, folder: Path) -> None:
    told = {}
    for scene in SCENES:

        def words(rank: int, scene: str = scene) -> list[str]:
            own = other if scene == "set" and rank == 1 else data
            seed = "5" if scene == "settings" and rank == 1 else "0"
            return ["--data", own, "--seed", seed, "--steps-constant", "2000", *OPTIONS]

        told[scene] = play(scene, words, folder / scene)
    print(json.dumps(told))


if __name__ == "__main__":
    host_main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
