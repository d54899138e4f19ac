"""A run that was stopped, in whatever way, ends bit for bit like one that was not.

Run as a script the file is a trainer without features, in whose place kills and restarts happen.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from examples.mask_removal import train
from examples.mask_removal.arguments import Arguments
from examples.mask_removal.checkpoint import load_checkpoint, save_checkpoint, steps_of
from examples.mask_removal.config import Config, LossWeights, smoke
from examples.mask_removal.distributed import Ranks, ranks
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.resume import Position, collect, resume
from tests.examples.same_state import assert_same, final

ROOT = Path(__file__).parents[2]
NO_FEATURES = LossWeights(perceptual=0.0, style=0.0)
TINY = replace(smoke(), weights=NO_FEATURES, validation_faces=1, ema_decay=0.5, sheet_every=1000)
OPTIONS = ["--preset", "smoke", "--weights.perceptual", "0", "--weights.style", "0", "--validation-faces", "1"]
OPTIONS += ["--device", "cpu", "--threads", "1", "--sheet-every", "1000"]


def run(data: Path, output: Path, config: Config, *, workers: int = 0, resume: str = "auto") -> None:
    arguments = Arguments(str(data), output, device="cpu", workers=workers, resume=resume, config=config)
    with ranks("cpu") as place:
        train.train(arguments, place)


def run_to(step: int, data: Path, output: Path, config: Config, *, workers: int = 0) -> None:
    """Stop a run right after its checkpoint of ``step``."""

    def save_and_stop(folder: Path, state: dict[str, Any], **options: Any) -> None:
        save_checkpoint(folder, state, **options)
        if state["step"] == step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "save_checkpoint", save_and_stop)
        run(data, output, config, workers=workers)


@pytest.mark.parametrize("precision", ["fp32", "o2"])  # every other case: test_resume_exactly.py
def test_2k_steps_are_k_an_interruption_and_k(precision: Any, training_set: Path, tmp_path: Path) -> None:
    config = replace(TINY, precision=precision)
    run(training_set, tmp_path / "whole", config)
    run_to(2, training_set, tmp_path / "cut", config)
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "total": 0.0}\n')  # trained after the checkpoint, and lost with the interruption
    torch.rand(7)
    random.random()
    run(training_set, tmp_path / "cut", config)
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    assert [[json.loads(line)["step"] for line in log] for log in logs] == [[1, 2, 3, 4]] * 2


def test_the_global_generators_go_on_where_they_were(tmp_path: Path) -> None:
    """Training draws from none of them today, so a run would not show it."""

    def draws() -> list[float]:
        return [random.random(), random.gauss(), np.random.rand(), np.random.randn(), torch.rand(()).item()]  # noqa: NPY002

    with ranks("cpu") as place:
        np.random.randn(), random.gauss()  # noqa: NPY002 - they keep a second one for later
        save_checkpoint(tmp_path, collect({}, Position(step=3, seconds=1.5, best=(2, 20.0)), place))
        expected = draws()
        assert draws() != expected
        assert resume(tmp_path, "auto", {}, place) == Position(3, 1.5, (2, 20.0))
        assert draws() == expected


def test_the_state_is_complete_and_moves(training_set: Path, tmp_path: Path) -> None:
    """The test above can fail: every network and optimizer is in the state, and differs between two steps."""
    run(training_set, tmp_path, replace(TINY, precision="fp16", clip_norm=1.0, accumulation=1))
    early, late = (load_checkpoint(tmp_path / "checkpoints" / f"step-0000000{step}.pt") for step in (2, 4))
    assert early.keys() == {
        *("generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer"),
        *("step", "seconds", "best", "origin", "random"),
    }
    for name in ("generator", "discriminator", "average", "generator_optimizer", "discriminator_optimizer"):
        with pytest.raises(AssertionError):
            assert_same(early[name], late[name])
    assert late["generator_optimizer"]["scaler"]["_growth_tracker"] + late["generator_optimizer"]["skipped"][0] > 0
    assert len(late["random"]) == 1 and late["random"][0].keys() == {"python", "numpy", "torch", "cuda"}


def test_resume_as_asked(training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(training_set, tmp_path / "run", replace(TINY, keep_checkpoints=3))
    with pytest.raises(ValueError, match="there are checkpoints. Choose another --output, or --resume auto"):
        run(training_set, tmp_path / "run", TINY, resume="never")
    whole = final(tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "step-00000002.pt"
    run(training_set, tmp_path / "run", TINY, resume=str(path))
    assert_same(final(tmp_path / "run"), whole)
    assert path.with_name("step-00000004.aside").exists()  # the one that the path went back behind
    run(training_set, tmp_path / "other", TINY, resume=str(path))
    assert_same(final(tmp_path / "other"), whole)
    # The same command again, as after an interruption, goes on from its own last step.
    longer = replace(TINY, steps_constant=5)
    capsys.readouterr()
    run(training_set, tmp_path / "other", longer, resume=str(path))
    assert f"{tmp_path / 'other'}: goes on from step 4." in capsys.readouterr().out
    changed = replace(TINY, learning_rate_generator=1e-5, betas=(0.4, 0.9))
    run(training_set, tmp_path / "changed", changed, resume=str(path))
    group = final(tmp_path / "changed")["generator_optimizer"]["adam"]["param_groups"][0]
    assert group["betas"] == (0.4, 0.9) and group["lr"] <= 1e-5
    with pytest.raises(ValueError, match="nothing.pt: cannot be read: No such file"):
        run(training_set, tmp_path / "run", TINY, resume=str(tmp_path / "nothing.pt"))


def test_a_run_that_must_be_new_is_started_again_also_on_machines_that_counted_no_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two launchers only the one whose process died counts; the other joins it again."""
    with ranks("cpu") as place:
        save_checkpoint(tmp_path, collect({}, Position(step=3), place))
        with pytest.raises(ValueError, match="there are checkpoints"):
            resume(tmp_path, "never", {}, place)
        monkeypatch.setattr(Ranks, "largest", lambda _, number: max(number, 1))
        assert resume(tmp_path, "never", {}, place).step == 3


@pytest.mark.parametrize("before", ["fp32", "fp16", "o2"])
@pytest.mark.parametrize("after", ["fp32", "fp16", "o2"])
def test_a_run_goes_on_in_another_precision(before: Any, after: Any, tmp_path: Path) -> None:
    """Another run, from the checkpoint: with the masters where there are some, and its own scale where none is."""

    def networks(precision: Any, seed: int) -> dict[str, Any]:
        torch.manual_seed(seed)
        network = torch.nn.Linear(3, 2)
        optimizer = NetworkOptimizer(network, precision=precision, learning_rate=1e-3, betas=(0.5, 0.999))
        optimizer.backward(network(torch.ones(1, 3, dtype=network.weight.dtype)).float().square().sum())
        assert optimizer.step()
        return {"network": network, "optimizer": optimizer}

    first, second = networks(before, 0), networks(after, 1)
    with ranks("cpu") as place:
        path = save_checkpoint(tmp_path / "first", collect(first, Position(step=1), place))
        assert resume(tmp_path / "second", str(path), second, place).step == 1
    exact = before == after or before == "o2"
    for mine, theirs in zip(second["optimizer"].masters, first["optimizer"].masters, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0 if exact else 1e-3, atol=0)
    for parameter, master in zip(second["network"].parameters(), second["optimizer"].masters, strict=True):
        assert torch.equal(parameter, master.to(parameter.dtype))
    adams = [networks["optimizer"].adam.state_dict()["state"] for networks in (first, second)]
    assert_same(adams[1], adams[0])


def test_a_checkpoint_of_an_earlier_version_is_not_trained_over(training_set: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"")
    with pytest.raises(ValueError, match="checkpoint.pt: a checkpoint of an earlier version"):
        run(training_set, tmp_path, TINY)


def test_a_damaged_last_checkpoint_costs_its_steps_only(
    training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(training_set, tmp_path, TINY)
    whole = final(tmp_path)
    path = tmp_path / "checkpoints" / "step-00000004.pt"
    path.write_bytes(path.read_bytes()[:-1])
    run(training_set, tmp_path, TINY)
    captured = capsys.readouterr()
    assert "step-00000004.pt: damaged" in captured.err and "goes on from step 2" in captured.out
    assert_same(final(tmp_path), whole)


def test_a_run_that_is_never_finite_ends(training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "MOST_SKIPPED_IN_A_ROW", 3)
    config = replace(TINY, learning_rate_generator=1e38, steps_constant=20)
    with pytest.raises(FloatingPointError, match="3 steps in a row were not finite"):
        run(training_set, tmp_path, config)


def launched(data: Path, output: Path, *words: str, launcher: Sequence[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--max-restarts=3", *launcher]
    command += ["-m", "examples.mask_removal.train", "--data", str(data), "--output", str(output), "--workers", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # counts where there are several launchers
    return subprocess.Popen([*command, *OPTIONS, *words], env=environment, stderr=subprocess.PIPE, text=True)


def on_two_ranks(data: Path, output: Path, *words: str) -> subprocess.Popen[str]:
    return launched(data, output, *words, launcher=["--standalone", "--nproc-per-node=2"])


def on_two_machines(data: Path, output: Path, *words: str, nodes: str) -> list[subprocess.Popen[str]]:
    """A launcher with one rank for each machine; that both are this one they do not know."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = [f"--nnodes={nodes}", "--nproc-per-node=1", "--rdzv-id=test", "--rdzv-backend=c10d"]
    launcher += [f"--rdzv-endpoint=127.0.0.1:{port}", "--local-addr=127.0.0.1"]
    first = launched(data, output, *words, launcher=launcher)
    with socket.socket() as probe:  # the first one keeps the address book
        wait_for(lambda: probe.connect_ex(("127.0.0.1", port)) == 0)
    return [first, launched(data, output, *words, launcher=launcher)]


def finish(process: subprocess.Popen[str]) -> str:
    errors = process.communicate(timeout=580)[1]
    assert process.returncode == 0, errors
    return errors


def ranks_of(launcher: subprocess.Popen[str]) -> dict[int, int]:
    """rank → process id, of a running torchrun."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == launcher.pid:
                environment = dict(x.split("=", 1) for x in (folder / "environ").read_text().split("\0") if "=" in x)
                found[int(environment["RANK"])] = int(folder.name)
        except (OSError, KeyError):
            continue  # it ended, or it is none of the ranks
    return found


def wait_for(happened: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "o2"])
def test_a_killed_rank_of_two_is_restarted(precision: str, training_set: Path, tmp_path: Path) -> None:
    words = ("--precision", precision, "--steps-constant", "8", "--checkpoint-every", "2")
    finish(on_two_ranks(training_set, tmp_path / "whole", *words))
    launcher = on_two_ranks(training_set, tmp_path / "cut", *words)
    wait_for(lambda: steps_of(tmp_path / "cut"))
    os.kill(ranks_of(launcher)[1], signal.SIGKILL)
    assert "exitcode: -9" in finish(launcher)
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))
    assert len(final(tmp_path / "cut")["random"]) == 2


@pytest.mark.slow
def test_a_killed_rank_of_two_machines_is_restarted(training_set: Path, tmp_path: Path) -> None:
    words = ("--steps-constant", "8", "--checkpoint-every", "2")
    finish(on_two_ranks(training_set, tmp_path / "whole", *words))
    launchers = on_two_machines(training_set, tmp_path / "cut", *words, nodes="2")
    wait_for(lambda: steps_of(tmp_path / "cut"))
    os.kill(next(ranks[1] for ranks in map(ranks_of, launchers) if 1 in ranks), signal.SIGKILL)
    assert any("exitcode: -9" in errors for errors in map(finish, launchers))
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_outlives_a_machine(training_set: Path, tmp_path: Path) -> None:
    words = ("--steps-constant", "8", "--checkpoint-every", "2")
    stays, goes = on_two_machines(training_set, tmp_path, *words, nodes="1:2")
    wait_for(lambda: steps_of(tmp_path))
    victims = ranks_of(goes)
    goes.kill()
    for victim in victims.values():
        os.kill(victim, signal.SIGKILL)
    goes.communicate()
    finish(stays)
    state = final(tmp_path)
    assert (state["step"], len(victims), len(state["random"])) == (8, 1, 1)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(training_set: Path, tmp_path: Path) -> None:
    config = replace(TINY, steps_constant=6, checkpoint_every=2, keep_checkpoints=3, ema_decay=0.999)
    run(training_set, tmp_path / "alone", config)
    run_to(2, training_set, tmp_path / "grown", config)
    finish(on_two_ranks(training_set, tmp_path / "grown", "--steps-constant", "6", "--keep-checkpoints", "3"))
    alone, grown = final(tmp_path / "alone"), final(tmp_path / "grown")
    assert (alone["step"], grown["step"], len(grown["random"])) == (6, 6, 2)
    # Sums over ranks round otherwise, and Adam turns the sign of a gradient near 0 into a whole step: no bits here, but
    # the way from the common checkpoint must be the same but for a hundredth.
    begin = load_checkpoint(tmp_path / "grown" / "checkpoints" / "step-00000002.pt")
    for network in ("generator", "discriminator", "average"):
        start, end, other = (torch.cat([x.flatten() for x in s[network].values()]) for s in (begin, alone, grown))
        assert (other - end).norm() < 0.01 * (end - start).norm(), network


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_25_kills_half_of_them_while_a_checkpoint_is_written(training_set: Path, tmp_path: Path) -> None:
    command = [sys.executable, __file__, str(training_set), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=890, check=False)
    assert done.returncode == 0, done.stderr
    kills = json.loads(done.stdout.splitlines()[-1])
    assert kills["all"] == 25 and kills["while writing"] >= 13
    assert_same(final(tmp_path / "cut"), final(tmp_path / "whole"))


def forked(data: str, output: Path) -> int:
    """A trainer in a process of its own, without the seconds that imports take."""
    words = ["--data", data, "--output", str(output), "--workers", "0", *OPTIONS]
    words += ["--steps-constant", "60", "--checkpoint-every", "1"]
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(train.main(words))
    return child


def moments(output: Path, child: int) -> Iterator[bool]:
    """Whether a checkpoint is being written, again and again while the child runs."""
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        yield any((output / "checkpoints").glob("*.part"))


def host_main(data: str, folder: Path) -> None:
    """Kill a run 25 times, every other time as soon as a checkpoint is being written, then let it end."""
    assert os.waitstatus_to_exitcode(os.waitpid(forked(data, folder / "whole"), 0)[1]) == 0
    rng = random.Random(0)
    while_writing = 0
    for kill in range(25):
        child = forked(data, folder / "cut")
        alive = time.monotonic() + rng.uniform(0.0, 2.0)
        for writing in moments(folder / "cut", child):
            if time.monotonic() >= alive and (writing or kill % 2):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                while_writing += writing
                break
        else:
            raise AssertionError(f"the run ended before kill {kill}")
    assert os.waitstatus_to_exitcode(os.waitpid(forked(data, folder / "cut"), 0)[1]) == 0
    print(json.dumps({"all": 25, "while writing": while_writing}))


if __name__ == "__main__":
    host_main(sys.argv[1], Path(sys.argv[2]))
