import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from examples.mask_removal import prepare as prepare_module
from examples.mask_removal.prepare import main, read_index
from gatedinpaint import read_photo


def test_crops_landmarks_index_report_and_sheet(training_set: Path) -> None:
    report = json.loads((training_set / "report.json").read_text())
    assert (report["taken"], report["skipped"]) == (6, 2)
    assert report["skipped_photos"]["wall"] == "no face found"
    assert "cannot be read as a photo" in report["skipped_photos"]["broken"]
    assert "notes" not in report["skipped_photos"]
    for line in read_index(training_set):
        if "skipped" in line:
            continue
        crop = read_photo(training_set / "samples" / f"{line['id']}.png")
        landmarks = np.load(training_set / "samples" / f"{line['id']}.npy")
        assert crop.shape == (64, 64, 3)
        # An aligned crop has the middle between the eyes (landmark 168, the nose's root) in its middle column.
        assert abs(landmarks[168, 0] - 31.5) < 4
        assert 0 < landmarks[168, 1] < landmarks[152, 1] < 64
    assert read_photo(training_set / "sheet.png").size > 0


def test_is_continued_not_repeated(photos_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [str(photos_folder), "--output", str(tmp_path / "set"), "--size", "32", "--workers", "0"]
    worked = []
    original = prepare_module.prepare_photo

    def interrupted(item: tuple[str, bytes], **options: object) -> dict:
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append(item[0])
        return original(item, **options)

    monkeypatch.setattr(prepare_module, "prepare_photo", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main(arguments)
    index = tmp_path / "set" / "index.jsonl"
    with index.open("a") as file:
        file.write('{"id": "cut o')  # a line that an interruption cut off
    assert len(read_index(tmp_path / "set")) == 3

    def counted(item: tuple[str, bytes], **options: object) -> dict:
        worked.append(item[0])
        return original(item, **options)

    monkeypatch.setattr(prepare_module, "prepare_photo", counted)
    assert main(arguments) == 0
    assert len(worked) == len(set(worked)) == 8
    ids = [line["id"] for line in read_index(tmp_path / "set")]
    assert sorted(ids) == sorted(worked)


def test_tar_aligned_and_identities(training_set: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "crops.tar", "w") as tar:
        for path in sorted((training_set / "samples").glob("*.png"))[:2]:
            tar.add(path, f"people/{path.name}")
    first, second = (f"people__{path.stem}" for path in sorted((training_set / "samples").glob("*.png"))[:2])
    (tmp_path / "who.csv").write_text(f"id,identity\n{first},eileen\n{second},\n")
    output = tmp_path / "set"
    arguments = [str(tmp_path / "crops.tar"), "--output", str(output), "--size", "64", "--aligned", "--workers", "1"]
    assert main([*arguments, "--identities", str(tmp_path / "who.csv")]) == 0
    lines = {line["id"]: line for line in read_index(output)}
    assert lines[first]["identity"] == "eileen"
    assert "identity" not in lines[second]
    original = training_set / "samples" / f"{first.removeprefix('people__')}.png"
    assert np.array_equal(read_photo(output / "samples" / f"{first}.png"), read_photo(original))


def test_bad_sources_get_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("text")
    for source in ("missing", "a.txt"):
        assert main([str(tmp_path / source), "--output", str(tmp_path / "set")]) == 2
        assert capsys.readouterr().err.strip() == (
            f"prepare: {tmp_path / source}: expected a folder or a tar file of photos."
        )
    assert not (tmp_path / "set").exists()
