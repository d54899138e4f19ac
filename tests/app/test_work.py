import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from examples.mask_removal.app_work import answer, decode, drawn_hole, face_window, preview
from examples.mask_removal.pipeline import load_default, remove_mask
from gatedinpaint import InpaintGenerator, PhotoError, image, read_photo
from gatedinpaint.faces import FaceLandmarker, NoFaceError


def test_the_result_is_that_of_the_pipeline_and_carries_nothing_else(
    masked: np.ndarray, landmarker: FaceLandmarker
) -> None:
    reference = np.ascontiguousarray(astronaut()[:, ::-1])
    got = answer(masked, load_default(), landmarker, reference=reference)
    expected = remove_mask(masked, load_default(), landmarker, reference=reference)
    with Image.open(io.BytesIO(got.result)) as file:
        assert np.array_equal(np.asarray(file), expected.photo)
        assert file.info == {} and not file.getexif()
    assert [view.name for view in got.views] == ["Face", "Whole photo"]
    whole = got.views[1]
    assert all(read_photo(io.BytesIO(part)).shape == masked.shape for part in (whole.before, whole.after, whole.origin))
    colours = read_photo(io.BytesIO(whole.origin)).astype(int)
    green = colours[..., 1] - colours[..., 0] > 40
    assert (green & (expected.origin == 1)).sum() / (green | (expected.origin == 1)).sum() > 0.9  # JPEG blurs the edge
    assert "guided by the second photo" in got.message
    assert "all are invented" in answer(masked, load_default(), landmarker).message


def test_an_untouched_hole_comes_back_as_it_was(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    generator = InpaintGenerator(2).eval()
    for enlarge in (1, 4):  # at 4 the face is larger than what the page shows
        photo = masked.repeat(enlarge, 0).repeat(enlarge, 1)
        got = answer(photo, generator, landmarker)
        found = remove_mask(photo, generator, landmarker).hole
        hole = drawn_hole(got.hole, got.window, photo.shape[:2])
        assert not (found & ~hole).any()
        assert hole.sum() < (1 + 0.02 * (enlarge > 1)) * found.sum() + 1
        again = answer(photo, generator, landmarker, hole=hole)
        assert np.array_equal(drawn_hole(again.hole, again.window, photo.shape[:2]), hole) or enlarge > 1


def test_a_bare_face_gets_the_brush(landmarker: FaceLandmarker) -> None:
    got = answer(astronaut(), load_default(), landmarker)
    assert got.message.startswith("No face mask was found") and got.result is None and got.views == []
    left, top, width, height = got.window
    assert read_photo(io.BytesIO(got.canvas)).shape == (height, width, 3)
    assert not read_photo(io.BytesIO(got.hole)).any()
    landmarks = landmarker.detect(astronaut())[0].landmarks
    assert (landmarks > (left, top)).all() and (landmarks < (left + width, top + height)).all()


def test_the_window_stays_in_the_photo(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    face = landmarker.detect(masked)[0]
    left, top, width, height = face_window(np.ascontiguousarray(masked[:150, :240]), [face])
    assert (top, top + height, left + width) == (0, 150, 240) and left > 0


def test_a_hole_of_another_photo_is_refused() -> None:
    picture = np.full((4, 4, 3), 255, np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    assert drawn_hole(file.getvalue(), (1, 2, 4, 4), (6, 5)).sum() == 16
    for window in ((2, 2, 4, 4), (1, 3, 4, 4), (-1, 0, 4, 4), (0, 0, 0, 4)):
        with pytest.raises(ValueError, match="belongs to another photo"):
            drawn_hole(file.getvalue(), window, (6, 5))
    with pytest.raises(PhotoError):
        drawn_hole(b"no picture", (0, 0, 4, 4), (6, 5))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.jpg", "cannot be read as a photo: expected JPEG"),
        ("heavy.jpg", "31 MB; at most 30 MB are taken"),
        ("wide.png", "at most 50 megapixels are read"),
    ],
)
def test_what_is_no_photo_is_refused(photos: Path, name: str, message: str) -> None:
    with pytest.raises(PhotoError, match=message):
        decode((photos / name).read_bytes(), name)


def test_no_face(photos: Path, landmarker: FaceLandmarker) -> None:
    with pytest.raises(NoFaceError, match="no face found in the photo"):
        answer(read_photo(photos / "wall.png"), load_default(), landmarker)


def test_a_second_photo_with_a_face_mask_is_refused(masked: np.ndarray, landmarker: FaceLandmarker) -> None:
    with pytest.raises(ValueError, match="reference must show the face without a face mask"):
        answer(masked, load_default(), landmarker, reference=masked)


def test_a_face_that_is_not_there(masked: np.ndarray, photos: Path) -> None:
    many, generator = FaceLandmarker(max_faces=3, least=0.4), load_default()
    with pytest.raises(NoFaceError, match="face 2 was asked for, but only 1 found; the largest is 0"):
        answer(masked, generator, many, faces=2)
    wall = read_photo(photos / "wall.png")
    with pytest.raises(NoFaceError, match="no face found in the photo"):
        answer(wall, generator, many, faces=2)
    with pytest.raises(NoFaceError, match="no face found in the reference"):
        answer(masked, generator, many, faces=0, reference=wall)


def test_the_preview_is_small_and_upright(photos: Path) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((900, 1800, 3), np.uint8)).save(file, "JPEG", exif=exif)
    assert read_photo(io.BytesIO(preview(file.getvalue()))).shape == (640, 320, 3)
    assert read_photo(io.BytesIO(preview((photos / "tall.tif").read_bytes()))).shape == (300, 200, 3)
    assert "TIFF" in image.FORMATS
