import contextlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image
from skimage.data import astronaut

from examples.mask_removal import crops
from examples.mask_removal import prepare as prepare_module
from examples.mask_removal.crops import Prepared, prepare_photo
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.photo_sources import SourcePhoto, new_photos
from examples.mask_removal.prepare import main
from examples.mask_removal.training_set import read_index
from examples.mask_removal.worker_pool import in_processes
from gatedinpaint import read_photo, write_photo


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

    def interrupted(item: SourcePhoto, **options: object) -> Prepared:
        if len(worked) == 3:
            raise KeyboardInterrupt
        worked.append(item.id)
        return original(item, **options)

    monkeypatch.setattr(prepare_module, "prepare_photo", interrupted)
    assert main(arguments) == 130
    index = tmp_path / "set" / "index.jsonl"
    with index.open("a") as file:
        file.write('{"id": "cut o')  # a line that an interruption cut off
    assert len(read_index(tmp_path / "set")) == 3

    def counted(item: SourcePhoto, **options: object) -> Prepared:
        worked.append(item.id)
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


def ids(*sources: Path, index: list[dict] | None = None, output: Path = Path("/no/set")) -> list[str]:
    damaged: list[str] = []
    found = [photo.id for photo in new_photos(list(sources), index or [], output=output, damaged=damaged)]
    assert damaged == []
    return found


def touch(folder: Path, *names: str | bytes) -> Path:
    for name in names:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_every_photo_gets_an_id_of_its_own(tmp_path: Path) -> None:
    one = touch(tmp_path / "one", "a/b.jpg", "a__b.jpg", "c.jpg", "c.png", ".c.jpg", "d.jpg")
    two = touch(tmp_path / "two", "c.jpg")
    found = ids(one, two)
    assert len(found) == len(set(found)) == 7
    assert {"a__b", "c", "d"} < set(found)
    assert all(id.split("-")[0] in ("a__b", "c", "d") for id in found)
    assert ids(one, two, one, one / "a") == found  # a photo named twice is one photo


def test_ids_do_as_names_of_files(tmp_path: Path) -> None:
    found = ids(touch(tmp_path, b"caf\xe9.jpg", "new\nline.jpg", "...jpg", "é" * 100 + ".jpg", "d/" * 90 + "e.jpg"))
    assert len(set(found)) == 5
    for id in found:
        assert id.isprintable() and "/" not in id and not id.startswith((".", "-")) and len(id.encode()) <= 150
    assert ids(touch(tmp_path / "plain", "é" * 70 + ".jpg")) == ["é" * 70]


def test_a_continued_set_knows_its_photos(tmp_path: Path) -> None:
    folder = touch(tmp_path / "photos", "c.jpg", "c.png", "d.jpg", "set/samples/c.png")
    output = folder / "set"
    photos = list(new_photos([folder], [], output=output, damaged=[]))
    assert len(photos) == 3  # not the set's own samples
    for done in itertools.product([False, True], repeat=3):  # whichever got done before the interruption
        index = [{"id": p.id, "source": p.source} for p, is_done in zip(photos, done, strict=True) if is_done]
        missing = sum(not is_done for is_done in done)
        found = ids(folder, index=index, output=output)
        assert len(found) == missing and not set(found) & {line["id"] for line in index}
    # A set from before sources were noted.
    again = ids(folder, index=[{"id": "c"}, {"id": "d"}], output=output)
    assert again == [photos[1].id]  # c.png, which had been dropped


def test_a_second_folder_is_added(photos_folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(next(photos_folder.glob("face-*.png")), tmp_path / name / "a.png")
    for name in ("one", "two", "one", "two"):
        arguments = [str(tmp_path / name), "--output", str(tmp_path / "set"), "--size", "32", "--workers", "0"]
        assert main(arguments) == 0
    lines = read_index(tmp_path / "set")
    assert [line["source"] for line in lines] == [str(tmp_path / name / "a.png") for name in ("one", "two")]
    assert len(list((tmp_path / "set" / "samples").glob("*.png"))) == 2


def test_odd_names_and_what_a_report_says_of_them(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(tmp_path / "odd.tar", "w") as tar:
        shot = tmp_path / "shot.png"
        write_photo(shot, astronaut())
        for name in ("/absolute/a.png", "../up/b.png", "caf\udce9.png", "x/" * 60 + "y.png"):
            tar.add(shot, name)
        tar.addfile(tarfile.TarInfo("bad\udce9.png"), content)  # empty
    assert main([str(tmp_path / "odd.tar"), "--output", str(tmp_path / "set"), "--size", "32", "--workers", "0"]) == 0
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert (report["taken"], report["skipped"]) == (4, 1)
    assert len(list((tmp_path / "set" / "samples").iterdir())) == 8


def test_a_photo_that_is_gone_is_skipped(tmp_path: Path) -> None:
    item = SourcePhoto("s", "a", tmp_path / "gone.png")
    prepared = prepare_photo(item, size=32, aligned=False, found_holes=True)
    assert prepared == ({"id": "a", "source": "s", "skipped": "cannot be read: No such file or directory"}, {})


@pytest.mark.parametrize("end", [300, 1200, 4000, 5000])  # in headers of the third photo, and in the photo
@pytest.mark.parametrize("kind", ["w", "w:gz"])
def test_a_cut_off_tar_is_taken_as_far_as_it_goes(
    kind: str, end: int, training_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cut.tar"
    crops = sorted((training_set / "samples").glob("*.png"))[:3]
    with tarfile.open(path, kind) as tar:
        for crop in crops:
            tar.add(crop, crop.name)
    with tarfile.open(path) as tar:
        start_of_third = tar.getmember(crops[2].name).offset
    content = path.read_bytes()
    path.write_bytes(content[: start_of_third + end if kind == "w" else -end])
    arguments = [str(path), "--output", str(tmp_path / "set"), "--size", "64", "--aligned", "--workers", "0"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"prepare: {path}: could not be read to its end: ") and error.count("\n") == 1
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert 0 < report["taken"] < 3 and len(report["damaged_sources"]) == 1
    assert (tmp_path / "set" / "sheet.png").is_file()


def test_settings_are_those_the_set_was_begun_with(
    training_set: Path, photos_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "set"
    shutil.copytree(training_set, output)
    arguments = [str(photos_folder), "--output", str(output), "--workers", "0"]
    before = (output / "index.jsonl").read_bytes()
    for options in (["--size", "32"], ["--size", "64", "--aligned"]):
        assert main(arguments + options) == 2
        error = capsys.readouterr().err
        assert "was begun with {'size': 64, 'aligned': False}" in error and error.count("\n") == 1
    (output / "set.json").write_text("{")
    assert main([*arguments, "--size", "64"]) == 2
    assert f"{output / 'set.json'}: damaged" in capsys.readouterr().err
    (output / "set.json").unlink()  # a set from before there were settings
    assert main([*arguments, "--size", "32"]) == 2
    assert "holds crops of 64 pixels; got size 32" in capsys.readouterr().err
    assert main([*arguments, "--size", "64"]) == 0
    assert (output / "index.jsonl").read_bytes() == before
    assert len(FaceDataset(output)) == 5


def test_identities_can_be_added_later(training_set: Path, photos_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "set"
    shutil.copytree(training_set, output)
    taken = [line["id"] for line in read_index(output) if "skipped" not in line]
    (tmp_path / "who.csv").write_text(f"id,identity\n{taken[0]},eileen\n", encoding="utf-8-sig")
    arguments = [str(photos_folder), "--output", str(output), "--size", "64", "--workers", "0"]
    assert main([*arguments, "--identities", str(tmp_path / "who.csv")]) == 0
    assert main(arguments) == 0  # and they stay
    identities = {line["id"]: line.get("identity") for line in read_index(output)}
    assert identities[taken[0]] == "eileen" and identities[taken[1]] is None
    assert not list(output.glob("*.part"))


def test_identities_that_name_no_photo_are_an_error(
    training_set: Path, photos_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "set"
    shutil.copytree(training_set, output)
    ids = [line["id"] for line in read_index(output)]
    (tmp_path / "who.csv").write_text("id,identity\n" + "".join(f"{id}.png,one\n" for id in ids))
    arguments = [str(photos_folder), "--output", str(output), "--size", "64", "--workers", "0"]
    assert main([*arguments, "--identities", str(tmp_path / "who.csv")]) == 2
    out, err = capsys.readouterr()
    assert f"says of 0 of {len(ids)} photos" in out
    assert f"no id is that of a photo; got {ids[0]}.png, expected one such as {min(ids)}." in err


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"id": 3}', '{"id": "a", "identity": 3}', "", "\xff"])
def test_a_damaged_line_of_the_index_is_named(
    line: str, photos_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.jsonl").write_text(f'{{"id": "a"}}\n{line}\n{{"id": "b"}}\n', encoding="latin-1")
    assert main([str(photos_folder), "--output", str(tmp_path), "--workers", "0"]) == 2
    assert capsys.readouterr().err.startswith(f"prepare: {tmp_path / 'index.jsonl'}, line 2: damaged")


def test_bad_arguments_get_one_line(
    photos_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def error(*words: object, source: Path = photos_folder, output: Path = tmp_path / "set") -> str:
        assert main([str(source), "--output", str(output), "--workers", "0", *map(str, words)]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text.strip()

    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "binary.csv").write_bytes(b"\xff\x00\x01")
    (tmp_path / "long.csv").write_text("id,identity\n" + "a" * 200_000)
    (tmp_path / "bad.csv").write_text("name,who\na,b\n")
    for name in ("missing", "a.txt"):
        expected = f"prepare: {tmp_path / name}: expected a folder or a tar file of photos."
        assert error(source=tmp_path / name) == expected
    for size in (0, -3, 10**9):
        assert error("--size", size) == f"prepare: --size must be from 16 to 4096; got {size}."
    assert error("--workers", -1) == "prepare: --workers must be 0 or more; got -1."
    for name in ("binary.csv", "bad.csv", "long.csv", "missing.csv"):
        assert error("--identities", tmp_path / name).startswith(f"prepare: {tmp_path / name}: ")
    assert "['name', 'who']" in error("--identities", tmp_path / "bad.csv")
    assert not (tmp_path / "set").exists()
    for output in (tmp_path / "a.txt", tmp_path / "a.txt" / "set"):
        assert str(tmp_path / "a.txt") in error(output=output)


def test_a_bad_model_is_no_fault_of_the_photos(
    photos_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.task").write_bytes(b"no model")
    monkeypatch.setenv("GATEDINPAINT_FACE_LANDMARKER", str(tmp_path / "bad.task"))
    monkeypatch.setattr(crops, "_landmarker", crops._landmarker.__wrapped__)  # not the cached one
    assert main([str(photos_folder), "--output", str(tmp_path / "set"), "--workers", "0"]) == 2
    assert read_index(tmp_path / "set") == []


def dies_of_b(item: SourcePhoto) -> dict:
    if item.id == "b":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"id": item.id}


def test_a_worker_that_dies_names_its_photo() -> None:
    items = [SourcePhoto(f"/photos/{id}.jpg", id, b"") for id in "abcdef"]
    lines = in_processes(dies_of_b, items, 1)
    with pytest.raises(RuntimeError, match="a worker process died, .* of: /photos/b.jpg. Move that photo away"):
        list(lines)


def test_ctrl_c_leaves_a_set_that_is_continued(tmp_path: Path) -> None:
    photos, index = tmp_path / "photos", tmp_path / "set" / "index.jsonl"
    photos.mkdir()
    count = 60
    write_photo(photos / "0.png", astronaut())
    for number in range(1, count):
        (photos / f"{number}.png").hardlink_to(photos / "0.png")
    arguments = [str(photos), "--output", str(tmp_path / "set"), "--size", "32", "--no-found-holes", "--workers"]
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.mask_removal.prepare", *arguments, "1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[2],
        # A shell starts what runs in its background with this signal ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        while process.poll() is None and (not index.exists() or index.read_bytes().count(b"\n") < 3):
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # like a terminal: the workers get it too
        assert process.communicate(timeout=60)[1] == "prepare: interrupted; the same command goes on from here.\n"
        assert process.returncode == 130
    done = read_index(tmp_path / "set")
    assert 3 <= len(done) < count
    assert main([*arguments, "0"]) == 0
    lines = read_index(tmp_path / "set")
    assert all(line in lines for line in done)
    assert sorted(line["id"] for line in lines) == sorted(map(str, range(count)))


def test_photos_that_could_not_be_read_are_tried_again(
    photos_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, output = tmp_path / "photos", tmp_path / "set"
    photos.mkdir()
    picture = Image.fromarray(read_photo(next(photos_folder.glob("face-*.png"))))
    pillow_heif.from_pillow(picture).save(photos / "phone.heic")
    picture.save(photos / "phone.png")
    shutil.copy(photos_folder / "wall.png", photos)
    arguments = [str(photos), "--output", str(output), "--size", "32", "--workers", "0"]
    original = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == "phone.png":
            raise OSError(5, "Input/output error")
        return original(path)

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pillow_heif", None)
        patch.setattr(Path, "read_bytes", failing)
        assert main(arguments) == 2
    skipped = {line["id"]: line["skipped"] for line in read_index(output)}
    heic, png = sorted(skipped.keys() - {"wall"}, key=lambda id: "Input" in skipped[id])
    assert "pillow_heif is needed here" in skipped[heic] and skipped[png] == "cannot be read: Input/output error"

    worked = []
    prepared = prepare_module.prepare_photo
    monkeypatch.setattr(
        prepare_module, "prepare_photo", lambda item, **options: worked.append(item.id) or prepared(item, **options)
    )
    assert main(arguments) == 0
    assert sorted(worked) == sorted([heic, png])  # by the ids they had, and not the wall
    assert sorted(line["id"] for line in read_index(output) if "skipped" not in line) == sorted(worked)
    assert len(read_index(output)) == 3
