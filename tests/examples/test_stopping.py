"""Ctrl-C and SIGTERM: the state of the step is saved, the exit code says why, and the run ends as if undisturbed."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from examples.mask_removal import stopping, train
from examples.mask_removal.checkpoint import steps_of
from examples.mask_removal.data import FaceDataset, batches
from examples.mask_removal.distributed import Ranks, ranks
from examples.mask_removal.run_lock import only_trainer
from examples.mask_removal.stopping import Stop, Stopped
from tests.examples.same_state import assert_same, final
from tests.examples.test_resume import OPTIONS, ROOT, TINY, finish, launched, on_two_ranks, ranks_of, run, wait_for

LONG = replace(TINY, steps_constant=6, checkpoint_every=1000)
WORDS = ["--steps-constant", "6", "--checkpoint-every", "1000"]


def signal_in_step(number: int, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process a signal in the middle of a step."""
    average, count = train.update_average, iter(range(1, 1000))

    def update(*arguments: Any) -> None:
        average(*arguments)
        if next(count) == step:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(train, "update_average", update)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_first(
    number: int, code: int, training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    before = [signal.getsignal(number) for number in stopping.SIGNALS]
    words = ["--data", str(training_set), "--output", str(tmp_path / "cut"), "--workers", "0", *OPTIONS, *WORDS]
    with monkeypatch.context() as patch:
        signal_in_step(number, 3, patch)
        assert train.main(words) == code
    name = signal.Signals(number).name
    said = f"train: stopped by {name}; the same command goes on from step 3, which is saved.\n"
    assert said in capsys.readouterr().err
    assert steps_of(tmp_path / "cut") == [3]
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == before
    assert train.main(words) == 0
    run(training_set, tmp_path / "whole", LONG)
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))


def test_a_signal_in_the_last_step_ends_nothing_early(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_in_step(signal.SIGTERM, 6, monkeypatch)
    run(training_set, tmp_path, LONG)
    assert steps_of(tmp_path) == [6]


def test_a_second_ctrl_c_does_not_wait() -> None:
    with ranks("cpu") as place, pytest.raises(KeyboardInterrupt), Stop(place) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked() == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)


def test_an_error_that_the_signal_caused_is_no_error() -> None:
    with ranks("cpu") as place:
        with pytest.raises(Stopped, match="goes on from the last checkpoint"), Stop(place):
            os.kill(os.getpid(), signal.SIGTERM)
            raise RuntimeError("DataLoader worker is killed by signal")
        with pytest.raises(RuntimeError, match="of its own"), Stop(place):
            raise RuntimeError("of its own")


def started(data: Path, output: Path, *words: str) -> subprocess.Popen[str]:
    """A trainer in a process group of its own, with a loader process."""
    command = [sys.executable, "-m", "examples.mask_removal.train", "--data", str(data), "--output", str(output)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--workers", "1", *OPTIONS, *words],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_as_terminals_and_clusters_send_it(
    number: int, code: int, training_set: Path, tmp_path: Path
) -> None:
    process = started(training_set, tmp_path, "--steps-constant", "5000", "--checkpoint-every", "1000")
    wait_for(lambda: (tmp_path / "log.jsonl").exists() and (tmp_path / "log.jsonl").read_text().count("\n") > 2)
    os.killpg(process.pid, number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == code, errors
    assert "which is saved" in errors and "Traceback" not in errors
    assert len(steps_of(tmp_path)) == 1 and steps_of(tmp_path)[0] > 2


@pytest.mark.slow
def test_ctrl_c_while_the_loader_process_is_still_starting(training_set: Path, tmp_path: Path) -> None:
    process = started(training_set, tmp_path, "--steps-constant", "5000", "--checkpoint-every", "1000")
    wait_for(lambda: any(b"pipe_handle" in command for command in commands_of(process.pid)))  # the loader; it imports
    os.killpg(process.pid, signal.SIGINT)
    try:
        errors = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "which is saved" in errors and "Traceback" not in errors


def commands_of(parent: int) -> list[bytes]:
    """The command lines of a process's children."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [Path(f"/proc/{child}/cmdline").read_bytes() for child in children if Path(f"/proc/{child}").exists()]


def test_a_signal_while_the_ranks_ask_each_other_is_not_lost() -> None:
    class Late:
        world_size = 2

        def largest(self, number: int) -> int:
            signal.raise_signal(signal.SIGTERM)
            return number

    with Stop(Late()) as stop:  # type: ignore[arg-type]
        assert [stop.asked(), stop.asked()] == [0, signal.SIGTERM]


@pytest.mark.slow
def test_one_rank_of_two_that_is_told_stops_both(training_set: Path, tmp_path: Path) -> None:
    words = ("--steps-constant", "40", "--checkpoint-every", "1000")
    two = ["--standalone", "--nproc-per-node=2", "--max-restarts=0"]
    launcher = launched(training_set, tmp_path / "cut", *words, launcher=two)
    wait_for(lambda: (tmp_path / "cut" / "log.jsonl").exists())
    os.kill(ranks_of(launcher)[1], signal.SIGTERM)
    errors = launcher.communicate(timeout=120)[1]
    assert launcher.returncode == 1 and errors.count("which is saved") >= 1, errors
    (step,) = steps_of(tmp_path / "cut")
    assert 0 < step < 40
    finish(on_two_ranks(training_set, tmp_path / "cut", *words))
    finish(on_two_ranks(training_set, tmp_path / "whole", *words))
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))


def loading(ended: Any, ready: Any) -> None:
    """As a loader process that is in the middle of something."""
    stopping.leave_stopping_to_the_trainer(ended)
    ready.set()
    time.sleep(100)


def test_a_loader_process_ends_when_the_trainer_has_and_not_before() -> None:
    """A cluster tells every process of a job, and ``torchrun`` then tells the groups of its ranks once more."""
    context = multiprocessing.get_context("spawn")
    ended, ready = context.Event(), context.Event()
    process = context.Process(target=loading, args=(ended, ready))
    process.start()
    assert ready.wait(60)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        os.kill(process.pid, number)
        process.join(0.2)
        assert process.is_alive()
    ended.set()
    process.terminate()
    process.join(20)
    assert process.exitcode == -signal.SIGTERM


def test_batches_come_after_signals_to_the_loader_process(training_set: Path) -> None:
    loaded = batches(FaceDataset(training_set), batch_size=1, epoch=0, epochs=4, workers=1)
    next(loaded)
    (worker,) = multiprocessing.active_children()
    for _ in range(2):
        os.kill(worker.pid, signal.SIGTERM)
        worker.join(0.2)
    assert len(list(loaded)) == 19
    worker.join(20)
    assert worker.exitcode == 0  # by itself


def test_a_loader_process_that_is_killed_ends_the_run_in_one_line(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    average = train.update_average

    def update(*arguments: Any) -> None:
        average(*arguments)
        for process in multiprocessing.active_children():
            process.kill()  # as the kernel does when memory is short
            process.join()

    monkeypatch.setattr(train, "update_average", update)
    words = ["--data", str(training_set), "--output", str(tmp_path), "--workers", "1", *OPTIONS]
    assert train.main([*words, "--steps-constant", "500", "--checkpoint-every", "1"]) == 2
    error = capsys.readouterr().err
    assert re.match(r"train: DataLoader worker \(pid.* take fewer --workers\. The same command goes on", error)
    assert error.count("\n") == 1 and steps_of(tmp_path)


def test_two_trainers_in_one_folder(
    training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("examples.mask_removal.run_lock._PATIENCE", 0.1)
    words = ["--data", str(training_set), "--output", str(tmp_path), "--workers", "0", *OPTIONS]
    with ranks("cpu") as place, only_trainer(tmp_path, place):
        with only_trainer(tmp_path, Ranks(1, 2, place.device)):  # of the same run
            pass
        assert train.main(words) == 2
        assert f"train: {tmp_path}: another process is training into this folder." in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert train.main(words) == 0  # it was let go of


@pytest.mark.slow
def test_the_lock_of_a_dead_trainer_holds_nobody_up(training_set: Path, tmp_path: Path) -> None:
    process = started(training_set, tmp_path, "--steps-constant", "5000", "--checkpoint-every", "1")
    wait_for(lambda: steps_of(tmp_path))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    with ranks("cpu") as place, only_trainer(tmp_path, place):
        assert (tmp_path / ".lock").exists()
