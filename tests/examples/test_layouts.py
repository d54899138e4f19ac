from pathlib import Path

import numpy as np
import pytest

from examples.mask_removal.layouts import CelebAIdentities, is_ffhq
from examples.mask_removal.photo_sources import new_photos
from examples.mask_removal.prepare import main
from examples.mask_removal.training_set import read_index
from gatedinpaint import write_photo


def photos(folder: Path, *names: str, size: tuple[int, int] = (128, 128)) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_photo(folder / name, np.zeros((*size, 3), np.uint8))
    return folder


def test_ffhq_is_recognised_by_names_and_size(tmp_path: Path) -> None:
    assert is_ffhq(photos(tmp_path / "flat", "00000.png", "69999.png"))
    tree = photos(tmp_path / "tree", "00000/00000.png", "00000/00999.png", "12000/12345.png")
    (tree / "LICENSE.txt").touch()
    assert is_ffhq(tree)
    assert not is_ffhq(photos(tmp_path / "wrong_folder", "00000/01000.png"))
    assert not is_ffhq(photos(tmp_path / "another_name", "00000.png", "me.png"))
    assert not is_ffhq(photos(tmp_path / "jpeg", "00000.jpg"))
    assert not is_ffhq(photos(tmp_path / "in_the_wild", "00000.png", size=(96, 128)))
    assert not is_ffhq(photos(tmp_path / "no_size_of_ffhq", "00000.png", size=(100, 100)))
    assert not is_ffhq(photos(photos(tmp_path / "two", "00000.png"), "00001.png", size=(256, 256)))
    damaged = photos(tmp_path / "damaged", "00000.png")
    (damaged / "00000.png").write_bytes(b"no photo")
    assert not is_ffhq(damaged)
    assert not is_ffhq(tmp_path / "missing")


def test_ffhq_crops_are_only_resized(tmp_path: Path, photo: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "thumbnails"
    folder.mkdir()
    write_photo(folder / "00000.png", photo)  # 512 pixels square
    arguments = [str(folder), "--size", "64", "--workers", "0", "--no-found-holes", "--output"]
    assert main([*arguments, str(tmp_path / "set")]) == 0
    assert "recognised as FFHQ" in capsys.readouterr().out
    assert (tmp_path / "set" / "set.json").read_text() == '{"size": 64, "aligned": true}\n'
    assert main([*arguments, str(tmp_path / "anew"), "--no-aligned"]) == 0
    assert "FFHQ" not in capsys.readouterr().out
    whole, aligned = ((tmp_path / name / "samples" / "00000.png").read_bytes() for name in ("set", "anew"))
    assert whole != aligned


@pytest.mark.parametrize("place", ["", "Anno/"])
@pytest.mark.parametrize("source", ["celeba", "celeba/img_align_celeba"])
def test_celeba_knows_who_is_who(tmp_path: Path, place: str, source: str) -> None:
    celeba = photos(
        tmp_path / "celeba", "img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg", "mine/000001.jpg"
    )
    (celeba / place).mkdir(exist_ok=True)
    (celeba / place / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2937\n")
    found = {
        photo.id.split("__")[-1] if "mine" not in photo.id else "mine": photo.identity
        for photo in new_photos([tmp_path / source], [], output=tmp_path / "set", damaged=[])
    }
    expected = {"000001": "celeba-2880", "000002": "celeba-2937"}
    assert found == expected | ({"mine": None} if source == "celeba" else {})


def test_celebas_identities_reach_the_index(tmp_path: Path, photo: np.ndarray) -> None:
    folder = tmp_path / "img_align_celeba_png"
    folder.mkdir()
    write_photo(folder / "000001.png", photo)
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 2880\n")
    arguments = [str(folder), "--output", str(tmp_path / "set"), "--size", "32", "--workers", "0"]
    assert main([*arguments, "--no-found-holes"]) == 0
    assert read_index(tmp_path / "set")[0]["identity"] == "celeba-2880"


def test_a_damaged_identity_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg\n")
    with pytest.raises(
        ValueError, match="identity_CelebA.txt, line 2: expected a photo and a number; got '000002.jpg'"
    ):
        CelebAIdentities(tmp_path)


def test_ffhq_is_recognised_beside_what_is_no_photo_and_with_the_set_inside(tmp_path: Path) -> None:
    folder = photos(tmp_path / "ffhq", "00000.png")
    (folder / ".DS_Store").write_bytes(b"0")
    (folder / "LICENSE").write_text("free")
    output = photos(folder / "set" / "samples", "00000__copy.png").parent
    assert is_ffhq(folder, output=output)
    assert not is_ffhq(folder)


def test_a_set_inside_of_ffhq_is_no_photo_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = photos(tmp_path / "ffhq", "00000.png", "set/samples/00000.png", "set/sheet.png")
    monkeypatch.chdir(tmp_path)
    for place, output in (("ffhq", "ffhq/set"), ("ffhq", folder / "set"), (folder, "ffhq/set")):
        assert is_ffhq(Path(place), output=Path(output))
