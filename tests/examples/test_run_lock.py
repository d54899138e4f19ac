"""One command writes into a folder, on every kind of disk, and a restarted one waits until the dead are noticed."""

import errno
import fcntl
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

from examples.mask_removal import prepare, run_lock
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.run_lock import held, only_trainer

ALONE = Ranks(0, 1, torch.device("cpu"))


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])  # Lustre, NFS, others
def test_a_file_system_without_locks_is_warned_of_and_trained_on(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", none)
    with only_trainer(tmp_path / "run", ALONE):
        pass
    warning = capsys.readouterr().err
    assert "the file system knows no locks" in warning and str(tmp_path / "run" / ".lock") in warning


def test_another_error_of_the_lock_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="Input/output"), only_trainer(tmp_path, ALONE):
        pass


def test_after_a_restart_the_lock_of_a_lost_machine_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.0)
    noticed, taken = threading.Event(), threading.Event()

    def machine() -> None:
        with held(tmp_path / ".lock", busy="busy"):
            taken.set()
            noticed.wait(20)

    lost = threading.Thread(target=machine)
    lost.start()
    assert taken.wait(20)
    with pytest.raises(ValueError, match="another process is training into this folder"), only_trainer(tmp_path, ALONE):
        pass
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    threading.Timer(0.3, noticed.set).start()
    with only_trainer(tmp_path, ALONE):
        assert noticed.is_set()
    lost.join()


def test_two_do_not_prepare_one_set(
    training_set: Path,
    photos_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    """The second would truncate the shard that the first is writing, and replace the index under it."""
    monkeypatch.setattr(run_lock, "_PATIENCE", 0.1)
    output = shutil.copytree(training_set, tmp_path / "set")
    words = [str(photos_folder), "--output", str(output), "--size", "64", "--workers", "0"]
    before = (output / "index.jsonl").stat()
    with held(output / ".lock-00000", busy=""):
        assert prepare.main(words) == 2
    error = capsys.readouterr().err
    assert error == f"prepare: {output}: another process is preparing this set. Wait for its end, or stop it.\n"
    assert (output / "index.jsonl").stat() == before
    assert prepare.main(words) == 0
