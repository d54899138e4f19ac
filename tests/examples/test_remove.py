import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from examples.mask_removal.remove import main
from gatedinpaint import read_photo, write_photo
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
        (".", "expected a photo file; got a folder"),
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
