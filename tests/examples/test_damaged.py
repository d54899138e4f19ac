import json
import shutil
from pathlib import Path

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal import train
from examples.mask_removal.face_dataset import FaceDataset, held_out
from examples.mask_removal.training_set import read_index, write_lines


class Pyramid(nn.Module):
    """Features that need no weights."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, F.avg_pool2d(image, 2)]


@pytest.fixture
def twenty(training_set: Path, tmp_path: Path) -> Path:
    """A set of twenty samples to train on and one held out; all are the same crop."""
    folder = tmp_path / "set"
    (folder / "samples").mkdir(parents=True)
    original = FaceDataset(training_set).samples[0]["id"]
    held = next(line["id"] for line in read_index(training_set) if held_out(line["id"]))
    ids = [id for id in (f"copy-{number}" for number in range(100)) if not held_out(id)][:20]
    for id in [*ids, held]:
        for ending in (".png", ".npy"):
            shutil.copy(training_set / "samples" / f"{original}{ending}", folder / "samples" / f"{id}{ending}")
    write_lines(folder / "index.jsonl", [{"id": id} for id in [*ids, held]])
    return folder


def damage(folder: Path, count: int) -> list[str]:
    ids = [line["id"] for line in FaceDataset(folder).samples][3 : 3 + 4 * count : 4]
    for id in ids:
        path = folder / "samples" / f"{id}.png"
        path.write_bytes(path.read_bytes()[:700])
    return ids


def run(data: Path, output: Path, monkeypatch: pytest.MonkeyPatch, workers: int = 0, *more: object) -> int:
    monkeypatch.setattr(train, "build_features", lambda name: Pyramid())
    words = ["--data", data, "--output", output, "--preset", "smoke", "--device", "cpu", "--workers", workers]
    words += ["--epochs-decay", 0, "--sheet-every", 100, "--checkpoint-every", 100, *more]
    return train.main([str(word) for word in words])


@pytest.mark.parametrize("workers", [0, 1])
def test_training_goes_on_with_a_tenth_damaged_and_names_each(
    twenty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    ids = damage(twenty, 2)
    assert run(twenty, tmp_path / "run", monkeypatch, workers) == 0
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert len(log) == 10  # an epoch
    report = (tmp_path / "run" / "damaged.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in report] == sorted(ids)
    assert all(f"{twenty}: damaged sample: {id}: " in line for id, line in zip(sorted(ids), report, strict=True))


def test_damaged_validation_faces_are_named_too(twenty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [line["id"] for line in FaceDataset(twenty).samples]
    held = next(line["id"] for line in read_index(twenty) if line["id"] not in ids)
    other = next(id for id in (f"other-{number}" for number in range(1000)) if held_out(id) and id > held)
    for ending in (".png", ".npy"):
        shutil.copy(twenty / "samples" / f"{held}{ending}", twenty / "samples" / f"{other}{ending}")
    write_lines(twenty / "index.jsonl", [{"id": id} for id in [*ids, held, other]])
    (twenty / "samples" / f"{held}.png").write_bytes(b"no picture")
    assert run(twenty, tmp_path / "run", monkeypatch, 0, "--damaged-limit", 0.5) == 0
    assert (tmp_path / "run" / "damaged.txt").read_text().startswith(f"{held}\t")


def test_a_quarter_damaged_is_too_much(
    twenty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = damage(twenty, 5)
    assert run(twenty, tmp_path / "run", monkeypatch) == 2
    report = (tmp_path / "run" / "damaged.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in report] == sorted(ids)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train: ")]
    assert len(lines) == 1
    assert lines[0].startswith("train: 5 of 20 samples are damaged, more than the limit of 20%; the last: ")
