import hashlib
import os
import pickle
import random
import subprocess
from pathlib import Path

import pytest
import torch

from examples.mask_removal.checkpoint import (
    load_checkpoint,
    load_last_checkpoint,
    save_checkpoint,
    set_aside_after,
    steps_of,
)

KEEP_ALL = 100


def save(folder: Path, *steps: int, **options: int) -> Path:
    for step in steps:
        path = save_checkpoint(folder, {"step": step, "weights": torch.full((50,), float(step))}, **options)
    return path


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    assert load_last_checkpoint(tmp_path) is None
    path = save(tmp_path, 1)
    state = load_checkpoint(path)
    assert (state["step"], state["weights"].unique().tolist()) == (1, [1.0])
    assert load_last_checkpoint(tmp_path)["step"] == 1
    # The manifest is what sha256sum reads.
    done = subprocess.run(["sha256sum", "--check", path.with_suffix(".sha256").name], cwd=path.parent, check=False)
    assert done.returncode == 0


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 3, 4, 5, keep=2, best=2)
    assert steps_of(tmp_path) == [2, 4, 5]
    save(tmp_path, 6, keep=2, best=6)
    assert steps_of(tmp_path) == [5, 6]
    assert len(list((tmp_path / "checkpoints").iterdir())) == 4


def test_a_damaged_last_one_is_passed_over_and_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path, 1, 2)
    path.write_bytes(b"half a file")
    assert load_last_checkpoint(tmp_path)["step"] == 1
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "step-00000002.pt: damaged: its checksum is not that of step-00000002.sha256" in warning
    set_aside_after(tmp_path, 1)
    save(tmp_path, 2, keep=1)
    assert steps_of(tmp_path) == [2]
    assert path.with_suffix(".aside").read_bytes() == b"half a file"


def test_no_good_one_at_all(tmp_path: Path) -> None:
    save(tmp_path, 1).write_bytes(b"")
    with pytest.raises(ValueError, match="no checkpoint can be read. Move them away to start anew. .*damaged"):
        load_last_checkpoint(tmp_path)


def test_what_a_kill_leaves_is_no_checkpoint_and_cleared_away(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    for name in ("step-00000002.pt.part", "step-00000002.sha256.part", "step-00000003.sha256"):
        (path.parent / name).write_bytes(b"killed here")
    assert load_last_checkpoint(tmp_path)["step"] == 1
    save(tmp_path, 4, keep=KEEP_ALL)
    assert {file.name for file in path.parent.iterdir()} == {
        f"step-0000000{step}.{kind}" for step in (1, 4) for kind in ("pt", "sha256")
    }


def test_a_checkpoint_that_lost_its_checksum_is_passed_over_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after copying the states alone: a new run must not begin over them, nor saving remove them."""
    path = save(tmp_path, 1, 2)
    path.with_suffix(".sha256").unlink()
    assert load_last_checkpoint(tmp_path)["step"] == 1
    assert "step-00000002.sha256: cannot be read: No such file" in capsys.readouterr().err
    path.with_name("step-00000001.sha256").unlink()
    with pytest.raises(ValueError, match="no checkpoint can be read"):
        load_last_checkpoint(tmp_path)
    save(tmp_path, 3, keep=KEEP_ALL)
    assert steps_of(tmp_path) == [1, 2, 3]


def test_200_flipped_bits_and_truncations_are_all_found(tmp_path: Path) -> None:
    path = save(tmp_path, 7)
    rng = random.Random(0)
    for number in range(200):
        victim = path if number % 4 else path.with_suffix(".sha256")
        good = victim.read_bytes()
        bad = bytearray(good)
        if number % 2:
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        else:
            del bad[rng.randrange(len(bad)) :]
        victim.write_bytes(bad)
        with pytest.raises(ValueError, match="step-00000007.pt: damaged"):
            load_checkpoint(path)
        victim.write_bytes(good)
    assert load_checkpoint(path)["step"] == 7


class Hostile:
    def __reduce__(self):  # type: ignore[no-untyped-def]
        return os.mkdir, ("pwned",)


@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_code_in_a_file_is_refused(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = save(tmp_path, 1, 2)
    state = {"step": 2, "weights": Hostile()}
    if form == "torch":
        torch.save(state, path)
    else:
        path.write_bytes(pickle.dumps(state))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".sha256").write_text(f"{checksum}  {path.name}\n")  # whoever writes code can write that too
    with pytest.raises(ValueError, match="step-00000002.pt: not a checkpoint: "):
        load_checkpoint(path)
    assert load_last_checkpoint(tmp_path)["step"] == 1
    assert not Path("pwned").exists()


def test_a_file_that_holds_something_else(tmp_path: Path) -> None:
    path = save(tmp_path, 1)
    torch.save([1, 2], path)
    path.with_suffix(".sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    with pytest.raises(ValueError, match="not a checkpoint: expected a state with a step"):
        load_checkpoint(path)


@pytest.fixture
def small_disk(tmp_path: Path):  # type: ignore[no-untyped-def]
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("free", [300_000, 5_000, 100])
def test_a_full_disk_leaves_the_last_good_one(small_disk: Path, free: int) -> None:
    save(small_disk, 1)
    taken = os.statvfs(small_disk)
    (small_disk / "other").write_bytes(bytes(taken.f_bavail * taken.f_frsize - free // 4096 * 4096))
    with pytest.raises(OSError, match="No space left on device; the checkpoint of step 1 is the last good one"):
        save_checkpoint(small_disk, {"step": 2, "weights": torch.zeros(200_000)})
    assert [path.name for path in sorted((small_disk / "checkpoints").iterdir())] == [
        "step-00000001.pt",
        "step-00000001.sha256",
    ]
    assert load_last_checkpoint(small_disk)["step"] == 1
    (small_disk / "other").unlink()
    save(small_disk, 2)
    assert load_last_checkpoint(small_disk)["step"] == 2
