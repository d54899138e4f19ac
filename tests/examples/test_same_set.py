"""A run goes on with the set it was begun with."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from examples.mask_removal import train
from examples.mask_removal.agreement import keep_to_its_set
from examples.mask_removal.checkpoint import save_checkpoint
from examples.mask_removal.data import FaceDataset
from tests.examples.test_resume import TINY, run


@pytest.fixture
def smaller(training_set: Path, tmp_path: Path) -> Path:
    """The set without one of its photos."""
    folder = shutil.copytree(training_set, tmp_path / "smaller")
    lines = (folder / "index.jsonl").read_text().splitlines(keepends=True)
    (folder / "index.jsonl").write_text("".join(line for line in lines if '"face-0"' not in line))
    return folder


def test_a_run_does_not_go_on_with_other_photos(
    training_set: Path, smaller: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its schedule in epochs would end elsewhere, and the rest of the epoch would hold others."""
    run(training_set, tmp_path / "run", replace(TINY, steps_constant=2))
    words = ["--output", str(tmp_path / "run"), "--workers", "0", "--device", "cpu"]
    capsys.readouterr()
    assert train.main(["--data", str(smaller), *words]) == 2
    error = capsys.readouterr().err
    assert '{"samples": 5, ' in error and '{"samples": 4, ' in error and error.count("\n") == 1
    assert f"{smaller}: the run in {tmp_path / 'run'} was begun with another set" in error
    assert train.main(["--data", str(training_set), *words]) == 0
    path = tmp_path / "run" / "checkpoints" / "step-00000002.pt"
    run(smaller, tmp_path / "other", replace(TINY, steps_constant=3), resume=str(path))  # but another run may


def test_the_size_of_the_crops_belongs_to_it_and_a_run_without_checkpoints_begins_anew(
    training_set: Path, smaller: Path, tmp_path: Path
) -> None:
    training, other = FaceDataset(training_set), FaceDataset(smaller)
    keep_to_its_set(tmp_path, training, size=64)
    keep_to_its_set(tmp_path, other, size=64)
    assert json.loads((tmp_path / "data.json").read_text())["samples"] == 4
    save_checkpoint(tmp_path, {"step": 1})
    with pytest.raises(ValueError, match='"size": 64}; got .*"size": 128}'):
        keep_to_its_set(tmp_path, other, size=128)
    keep_to_its_set(tmp_path, other, size=64)
    (tmp_path / "data.json").unlink()  # a run from before it was written down
    keep_to_its_set(tmp_path, training, size=128)
    with pytest.raises(ValueError, match="was begun with another set"):
        keep_to_its_set(tmp_path, training, size=64)
