import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from examples.mask_removal import progress_bar, removal_options, remove
from examples.mask_removal.remove import main
from gatedinpaint import InpaintGenerator, read_photo, save_model, write_photo
from gatedinpaint.faces import FaceLandmarker, draw_face_mask
from tests.image.test_files import png_of_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray, landmarker: FaceLandmarker) -> Path:
    folder = tmp_path_factory.mktemp("remove")
    masked, _ = draw_face_mask(photo, landmarker.detect(photo)[0].landmarks)
    write_photo(folder / "masked.png", masked)
    write_photo(folder / "reference.jpg", np.ascontiguousarray(photo[:, ::-1]))
    write_photo(folder / "wall.png", np.full((200, 300, 3), 128, np.uint8))
    (folder / "text.jpg").write_text("not a photo")
    (folder / "truncated.jpg").write_bytes((folder / "reference.jpg").read_bytes()[:5000])
    (folder / "huge.png").write_bytes(png_of_size(30_000, 30_000))
    return folder


def test_writes_the_result_the_steps_and_the_map(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    outputs = {name: tmp_path / f"{name}.png" for name in ("output", "save-steps", "save-map")}
    arguments = [str(folder / "masked.png"), "--reference", str(folder / "reference.jpg")]
    assert main(arguments + [part for name, path in outputs.items() for part in (f"--{name}", str(path))]) == 0
    printed = capsys.readouterr().out
    assert "1 face, " in printed and "guided by the reference" in printed and printed.count("\n") == 1
    photo, result = read_photo(folder / "masked.png"), read_photo(outputs["output"])
    colours = read_photo(outputs["save-map"])
    assert result.shape == photo.shape == colours.shape
    hole = (colours > 0).any(-1)
    changed = (result != photo).any(-1)
    assert changed.mean() > 0.01
    assert hole[changed].all()  # every changed pixel is marked as guided or invented
    assert changed[hole].mean() > 0.95  # and next to nothing else is
    assert read_photo(outputs["save-steps"]).shape[1] > 4 * 320


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.jpg", "cannot be read as a photo: expected JPEG"),
        ("truncated.jpg", "cannot be read as a photo"),
        ("huge.png", "at most 100 megapixels are read"),
        ("missing.jpg", "no such file"),
        ("wall.png", "no face found in the photo"),
    ],
)
@pytest.mark.parametrize("role", ["photo", "reference"])
def test_bad_photos_get_one_line_and_exit_code_2(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, name: str, message: str, role: str
) -> None:
    photos = [str(folder / name)]
    if role == "reference":
        photos = [str(folder / "masked.png"), "--reference", *photos]
    assert main([*photos, "--output", str(tmp_path / "result.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("remove: ") and captured.err.count("\n") == 1
    assert message.replace("in the photo", f"in the {role}") in captured.err
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_stays_without_force(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    output = tmp_path / "result.png"
    output.write_text("precious")
    arguments = [str(folder / "masked.png"), "--output", str(output)]
    assert main(arguments) == 2
    assert "exists already. Choose another name, or pass --force" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert main([*arguments, "--force"]) == 0
    assert read_photo(output).shape == (512, 512, 3)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("no/such/folder/result.png", "does not exist. Create it first"),
        ("result.txt", "expected an ending such as .png or .jpg"),
        ("result", "expected an ending such as .png or .jpg"),
        ("../{folder}/masked.png", "is one of the photos that are read"),
    ],
)
def test_impossible_outputs_are_refused_first(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, output: str, message: str
) -> None:
    path = str(folder / "masked.png") if "{folder}" in output else str(tmp_path / output)
    before = (folder / "masked.png").read_bytes()
    assert main([str(folder / "masked.png"), "--output", path, "--force"]) == 2
    assert message in capsys.readouterr().err
    assert (folder / "masked.png").read_bytes() == before


def test_a_lossy_format_says_so(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(folder / "masked.png"), "--output", str(tmp_path / "result.jpg")]) == 0
    assert ".png keeps every byte" in capsys.readouterr().out
    assert read_photo(tmp_path / "result.jpg").shape == (512, 512, 3)


def test_a_bare_face_is_left_alone(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    # Photo and reference swapped: the first shows no face mask.
    arguments = [str(folder / "reference.jpg"), "--reference", str(folder / "masked.png")]
    assert main([*arguments, "--output", str(tmp_path / "result.png")]) == 2
    assert "no face mask found" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_reference_with_a_face_mask_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = [str(folder / "masked.png"), "--reference", str(folder / "masked.png")]
    assert main([*arguments, "--output", str(tmp_path / "result.png")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("remove: reference must show the face without a face mask; got one that covers ")
    assert error.count("\n") == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "message"), [("masked.png", "reference must show"), ("wall.png", "no face found")])
def test_what_is_wrong_with_the_reference_of_several_photos_is_said_once(
    name: str, message: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = [str(folder / "masked.png"), str(folder / "wall.png"), "--reference", str(folder / name)]
    assert main([*arguments, "--output", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_odd_paths_and_models_get_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "bad.task").write_bytes(b"no model")
    assert main([str(tmp_path / "loop.png"), "--output", str(tmp_path / "result.png")]) == 2
    monkeypatch.setenv("GATEDINPAINT_FACE_LANDMARKER", str(tmp_path / "bad.task"))
    assert main([str(folder / "masked.png"), "--output", str(tmp_path / "result.png")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("remove: ") for line in lines)


def test_exif_is_applied_and_kept_but_for_the_place(folder: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Example"
    exif.get_ifd(0x8825)[1] = "N"
    upright = read_photo(folder / "masked.png")[:, :400]
    Image.fromarray(np.rot90(upright)).save(tmp_path / "turned.png", exif=exif)
    assert main([str(tmp_path / "turned.png"), "--output", str(tmp_path / "result.png")]) == 0
    result = read_photo(tmp_path / "result.png")
    assert result.shape == upright.shape
    assert (result == upright).all(-1).mean() > 0.7
    with Image.open(tmp_path / "result.png") as file:
        assert file.getexif()[0x010F] == "Example" and file.getexif()[0x0112] == 1
        assert not file.getexif().get_ifd(0x8825)
    assert main([str(tmp_path / "turned.png"), "--keep-location", "--output", str(tmp_path / "placed.png")]) == 0
    with Image.open(tmp_path / "placed.png") as file:
        assert file.getexif().get_ifd(0x8825)[1] == "N"


def test_all_faces_without_the_error(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = [str(folder / "reference.jpg"), "--faces", "all", "--output", str(tmp_path / "result.png")]
    assert main(arguments) == 0
    assert "nobody wears a face mask; the photo is as it was" in capsys.readouterr().out
    assert np.array_equal(read_photo(tmp_path / "result.png"), read_photo(folder / "reference.jpg"))
    with pytest.raises(SystemExit):
        main([*arguments, "--faces", "-1"])
    assert "expected masked, all or a number from 0 on" in capsys.readouterr().err


def test_as_a_command_it_prints_no_traceback_and_no_noise(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.mask_removal.remove", str(folder / "wall.png")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "r.png")], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("remove: no face found in the photo") and done.stderr.count("\n") == 1


@pytest.fixture
def album(folder: Path, tmp_path: Path) -> Path:
    """A folder as people have them: photos in subfolders, one damaged, one bare, a hidden file, a text."""
    album = tmp_path / "album"
    (album / "in" / "deep").mkdir(parents=True)
    shutil.copy(folder / "masked.png", album / "in" / "a.png")
    write_photo(album / "in" / "a.jpg", read_photo(folder / "masked.png"))
    shutil.copy(folder / "reference.jpg", album / "in" / "deep" / "bare.JPG")
    shutil.copy(folder / "truncated.jpg", album / "broken.jpg")
    (album / "._a.jpg").write_bytes(b"what macOS leaves beside a file")
    (album / "notes.txt").write_text("no photo")
    return album


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_with_a_line_for_each_photo(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    before, results, steps = contents(album), tmp_path / "new" / "results", tmp_path / "steps"
    command = [str(album), "--faces", "all", "--output", str(results), "--save-steps", str(steps)]
    assert main(command) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"remove: {album / 'broken.jpg'}: cannot be read") and captured.err.count("\n") == 1
    lines = captured.out.splitlines()
    assert len(lines) == 4 and re.fullmatch(r"4 photos: 2 done, 1 as it was, 1 not possible, in .* s\.", lines[-1])
    assert sorted(contents(results)) == ["in/a.jpg.png", "in/a.png.png", "in/deep/bare.png"]
    assert sorted(contents(steps)) == ["in/a.jpg.png", "in/a.png.png"]
    assert contents(album) == before
    assert read_photo(results / "in" / "a.png.png").shape == (512, 512, 3)

    # The same command again leaves what is there, and says so.
    written = contents(results)
    (results / "in" / "a.png.png").unlink()
    (results / "in" / "a.jpg.png").write_text("retouched by hand")
    (steps / "in" / "a.png.png").unlink()
    assert main(command) == 1
    assert "1 done, 2 there already, 1 not possible" in capsys.readouterr().out
    assert contents(results) == {**written, "in/a.jpg.png": b"retouched by hand"}


def test_json_for_machines(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    command = [str(album / "in" / "a.png"), str(album / "broken.jpg"), "--output", str(tmp_path / "results"), "--json"]
    assert main(command) == 1
    captured = capsys.readouterr()
    done, failed, last = map(json.loads, captured.out.splitlines())
    assert captured.err.count("\n") == 1
    assert (done["status"], failed["status"]) == ("done", "failed")
    assert done["photo"] == command[0] and Path(done["output"]).is_file() and done["error"] is None
    (face,) = done["faces"]
    left, top, right, bottom = face["box"]
    assert 0 < left < right < 512 and 0 < top < bottom < 512
    assert face["source"] == "segmentation" and face["quality"] > 0.7
    assert face["pixels"] == done["pixels"] > 1000 and done["guided"] == 0
    assert failed["output"] is None and "cannot be read as a photo" in failed["error"]
    assert last["error"] is None
    seconds = last["summary"].pop("seconds")
    assert last["summary"] == {"photos": 2, "done": 1, "unchanged": 0, "kept": 0, "failed": 1} and seconds > 0
    assert main([*command[:1], "--output", "a.txt", "--json"]) == 2  # not even begun
    assert "expected an ending" in json.loads(capsys.readouterr().out)["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{album}", "--output", "{tmp}/result.png"], "several photos have several results. Pass the name of a folder"),
        (["{album}", "--output", "{album}/notes.txt"], "several photos have several results"),
        (["{album}/in", "--output", "{album}/in", "--format", "jpg"], "holds the photos, and would mix"),
        (["{album}/in/a.png", "{album}/in/a.jpg", "--output", "{album}/in/a.jpg"], "several photos have several"),
        (["{album}/in/a.png", "{album}/in/deep/bare.JPG", "--output", "{album}/in"], "is one of the photos that are"),
        (["{tmp}/empty", "--output", "{tmp}/results"], "no photo in this folder; expected files ending in .bmp, "),
        (["{album}", "--output", "{tmp}/r", "--save-map", "{tmp}/r"], "must name different folders"),
        (["{album}", "--output", "{tmp}/r", "--mask", "{tmp}/hole.png"], "--mask is the hole of one photo"),
        (["{album}", "--output", "{tmp}/r", "--device", "nonsense"], "device must name a device such as 'cpu'"),
        (["{album}", "--output", "{tmp}/r", "--model", "{tmp}"], "config.json: no such file. Expected a folder"),
        (
            ["{album}/in/a.png", "{album}/in/deep/../a.jpg", "{album}/second/a.png", "--output", "{tmp}/r"],
            "would both be",
        ),
    ],
)
def test_impossible_commands_are_refused_first(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (album / "second").mkdir()
    shutil.copy(album / "in" / "a.png", album / "second" / "a.png")
    before = contents(tmp_path)
    assert main([part.format(album=album, tmp=tmp_path) for part in [*arguments, "--force"]]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith("remove: ") and message in captured.err
    assert contents(tmp_path) == before


def test_another_name_of_the_photo_is_no_result(album: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "link.png").hardlink_to(album / "in" / "a.png")
    before = contents(tmp_path)
    assert main([str(album / "in" / "a.png"), "--output", str(tmp_path / "link.png"), "--force"]) == 2
    assert "is one of the photos that are read" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_results_inside_the_folder_are_not_read_again(album: Path, capsys: pytest.CaptureFixture) -> None:
    command = [str(album / "in"), "--output", str(album / "in" / "results")]
    for _ in range(2):
        main([*command, "--faces", "all"])
        assert "3 photos: " in capsys.readouterr().out
    assert len(contents(album / "in" / "results")) == 3


def test_a_hole_of_ones_own(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    hole = np.zeros((512, 512, 3), np.uint8)
    hole[140:180, 200:260] = 255
    write_photo(tmp_path / "hole.png", hole)
    command = [str(folder / "reference.jpg"), "--mask", str(tmp_path / "hole.png")]
    assert main([*command, "--output", str(tmp_path / "result.png"), "--save-map", str(tmp_path / "map.png")]) == 0
    assert "1 face, 2400 pixels filled" in capsys.readouterr().out
    photo, result = read_photo(folder / "reference.jpg"), read_photo(tmp_path / "result.png")
    inside = hole[..., 0] > 0
    assert np.array_equal(result[~inside], photo[~inside])
    assert (result[inside] != photo[inside]).any(axis=1).mean() > 0.9
    assert np.array_equal(read_photo(tmp_path / "map.png").any(-1), inside)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hole, photo: hole[:-1], "as large as the photo, 512 × 512 pixels when it is upright; got 512 × 511"),
        (lambda hole, photo: hole * 0, "no pixel is white, so there is nothing to fill"),
        (lambda hole, photo: 255 - hole, "99% of it is white. White marks the hole"),
        (lambda hole, photo: photo, "must be white on black; this picture has other colours. Is it the photo?"),
        (lambda hole, photo: hole // 2 + 100, "must be white on black"),
        (lambda hole, photo: np.roll(hole, (300, 200), (0, 1)), "reaches too far from the face that is nearest"),
    ],
)
def test_holes_that_are_none(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change: Callable, message: str
) -> None:
    hole = np.zeros((512, 512, 3), np.uint8)
    hole[140:180, 200:260] = 255
    photo = read_photo(folder / "masked.png")
    write_photo(tmp_path / "hole.png", np.ascontiguousarray(change(hole, photo)))
    command = [str(folder / "masked.png"), "--mask", str(tmp_path / "hole.png"), "--output", str(tmp_path / "r.png")]
    assert main(command) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r.png").exists()


def test_a_generator_of_ones_own(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    save_model(InpaintGenerator(2, reference=False), tmp_path / "own")
    command = [str(folder / "masked.png"), "--model", str(tmp_path / "own"), "--size", "64"]
    assert main([*command, "--output", str(tmp_path / "own.png")]) == 0
    assert main([*command[:1], "--output", str(tmp_path / "default.png")]) == 0
    assert not np.array_equal(read_photo(tmp_path / "own.png"), read_photo(tmp_path / "default.png"))
    guided = [*command, "--reference", str(folder / "reference.jpg"), "--output", str(tmp_path / "guided.png")]
    capsys.readouterr()
    assert main(guided) == 2
    assert "made without a reference. Leave --reference out" in capsys.readouterr().err


def test_reads_heic_and_writes_png(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    picture = pillow_heif.from_pillow(Image.fromarray(read_photo(folder / "masked.png")))
    picture.save(tmp_path / "phone.heic", quality=95)
    assert main([str(tmp_path / "phone.heic"), "--output", str(tmp_path / "result.png")]) == 0
    assert read_photo(tmp_path / "result.png").shape == (512, 512, 3)


def test_progress_on_a_terminal_and_lines_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for there in (True, False):
        out, err = io.StringIO(), Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        if not there:
            monkeypatch.setattr(progress_bar, "tqdm", None)
        with progress_bar.Progress(3, unit=" photos") as progress:
            for number in range(3):
                progress.advance()
                progress.line(f"line {number}")
            progress.error("an error")
        assert out.getvalue() == "line 0\nline 1\nline 2\n"
        assert "an error\n" in err.getvalue()
        assert ("3/3" in err.getvalue()) == there


def test_help_teaches(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    # Every example of the help is a command that the parser takes.
    commands = [line.split()[3:] for line in text.splitlines() if line.startswith("  python -m ")]
    assert len(commands) >= 4
    for command in commands:
        assert removal_options.parser().parse_args(command).output
    options = re.findall(r"--[a-z-]+", text)
    assert {"--reference", "--mask", "--json", "--save-steps", "--device"} <= set(options)


@pytest.mark.parametrize("end", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("written", [1, 2])
def test_a_photo_that_was_not_written_to_the_end_is_done_again(
    written: int, end: BaseException, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(folder / "masked.png", tmp_path / "in")
    command = [str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    command += ["--save-steps", str(tmp_path / "steps"), "--save-map", str(tmp_path / "map")]
    count = itertools.count()

    def failing(path: Path, *arguments: Any, **options: Any) -> None:
        if next(count) == written:
            raise end
        write_photo(path, *arguments, **options)

    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(remove, "write_photo", failing)
        assert main(command) == (130 if isinstance(end, KeyboardInterrupt) else 2)
    assert contents(tmp_path) == before
    assert main(command) == 0
    assert len(contents(tmp_path)) == len(before) + 3


def test_an_interruption_is_said_to_machines_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remove, "remove_mask", interrupted)
    assert main([str(folder / "masked.png"), "--output", str(tmp_path / "r.png"), "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["error"] == "interrupted" and captured.err.count("\n") == 1
