import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from examples.mask_removal import prepare as prepare_module
from examples.mask_removal.crops import Prepared
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.photo_sources import SourcePhoto
from examples.mask_removal.prepare import main, prepare
from examples.mask_removal.shards import sample_files
from examples.mask_removal.training_set import read_index


def taken(folder: Path) -> list[dict]:
    return [line for line in read_index(folder) if "skipped" not in line]


def places_aside(lines: list[dict]) -> list[dict]:
    return [{key: line[key] for key in line if key not in ("shard", "offset", "crc32", "length")} for line in lines]


@pytest.mark.parametrize("samples_per_shard", [0, 3])
def test_ranks_share_the_photos_and_rank_0_joins_them(
    photos_folder: Path, training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples_per_shard: int
) -> None:
    monkeypatch.setattr(prepare_module, "_wait_for_all", lambda world_size: None)  # here one comes after the other
    options = {"size": 64, "aligned": False, "identities": {}, "workers": 0, "samples_per_shard": samples_per_shard}
    run = partial(prepare, [photos_folder], tmp_path / "set", world_size=3, **options)
    assert run(rank=2) is None and run(rank=1) is None
    parts = [tmp_path / "set" / f"index.0000{rank}.jsonl" for rank in (1, 2)]
    assert all(part.is_file() for part in parts)
    report = run(rank=0)
    assert (report["taken"], report["skipped"]) == (6, 2)
    assert not list((tmp_path / "set").glob("index.*.jsonl"))
    joined = read_index(tmp_path / "set")
    assert places_aside(joined) == places_aside(read_index(training_set))
    ranks = {line["shard"].split("/")[1].split("-")[0] for line in joined if "shard" in line}
    assert len(ranks) >= 2 or not samples_per_shard
    pairs = zip(FaceDataset(tmp_path / "set")[2], FaceDataset(training_set)[2], strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_another_number_of_ranks_goes_on(
    photos_folder: Path, training_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "_wait_for_all", lambda world_size: None)
    original, worked = prepare_module.prepare_photo, []

    def counted(item: SourcePhoto, **options: object) -> Prepared:
        worked.append(item.id)
        return original(item, **options)

    monkeypatch.setattr(prepare_module, "prepare_photo", counted)
    run = partial(prepare, [photos_folder], tmp_path / "set", size=64, aligned=False, identities={}, workers=0)
    run(rank=1, world_size=3)
    with (tmp_path / "set" / "index.00001.jsonl").open("a") as file:
        file.write('{"id": "cut o')
    assert 0 < len(worked) < 8
    (tmp_path / "set" / "shards").mkdir()
    (tmp_path / "set" / "shards" / "00001-000000.part").touch()
    assert run(rank=0, world_size=1)["taken"] == 6
    assert not list(tmp_path.rglob("*.part"))
    assert sorted(worked) == sorted(line["id"] for line in read_index(tmp_path / "set"))
    assert read_index(tmp_path / "set") == read_index(training_set)


@pytest.mark.slow
@pytest.mark.parametrize("form", [["--samples-per-shard", "5"], []], ids=["shards", "files"])
def test_killed_again_and_again(photos_folder: Path, tmp_path: Path, form: list[str]) -> None:
    photos, output = tmp_path / "photos", tmp_path / "set"
    photos.mkdir()
    for number in range(40):
        shutil.copy(photos_folder / "face-0.png", photos / f"{number:02d}.png")
    arguments = [str(photos), "--output", str(output), "--size", "32", "--workers", "0", "--no-found-holes", *form]
    command = [sys.executable, "-m", "examples.mask_removal.prepare", *arguments]
    for killed_after in (3, 12, 26):
        with subprocess.Popen(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and len(read_index(output)) < killed_after:
                time.sleep(0.001)
            process.kill()
        for line in taken(output):
            assert {"png", "npy"} <= set(sample_files(output, line))
    assert main(arguments) == 0
    assert [line["id"] for line in taken(output)] == [f"{number:02d}" for number in range(40)]
    assert len({sample_files(output, line)["png"] for line in taken(output)}) == 1
    assert not list(output.rglob("*.part"))


@pytest.mark.slow
def test_under_torchrun(photos_folder: Path, training_set: Path, tmp_path: Path) -> None:
    arguments = [str(photos_folder), "--output", str(tmp_path / "set"), "--size", "64", "--workers", "1"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    done = subprocess.run(
        [*command, "examples.mask_removal.prepare", *arguments, "--samples-per-shard", "2"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("6 photos taken, 2 skipped") == 1
    assert places_aside(read_index(tmp_path / "set")) == places_aside(read_index(training_set))
