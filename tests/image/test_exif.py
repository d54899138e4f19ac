from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, TiffImagePlugin, TiffTags

from gatedinpaint.image import PhotoError, read_exif, read_photo, write_photo

MAKE, ORIENTATION, DATE, BODY_NUMBER, MAKER_NOTE, SUBJECT_AREA = 0x010F, 0x0112, 0x9003, 0xA431, 0x927C, 0x9214
CAMERA, GPS = 0x8769, 0x8825


@pytest.fixture
def phone_photo(tmp_path: Path) -> Path:
    """A photo as phones write it: on its side, with camera, date, place, private notes and a preview picture."""
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Example", 6
    exif.get_ifd(CAMERA).update(
        {DATE: "2026:01:02 03:04:05", MAKER_NOTE: b"serial 1234", SUBJECT_AREA: (10, 10), 0xA002: 60, 0xA003: 40}
    )
    exif.get_ifd(GPS).update({1: "N", 2: (47.0, 22.0, 0.0), 3: "E", 4: (8.0, 32.0, 0.0)})
    path = tmp_path / "phone.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
def test_a_result_is_upright_and_keeps_the_camera_but_not_the_place(
    phone_photo: Path, tmp_path: Path, ending: str
) -> None:
    photo = read_photo(phone_photo)
    assert photo.shape == (60, 40, 3)
    result = tmp_path / f"result{ending}"
    write_photo(result, photo, exif=read_exif(phone_photo))
    assert read_photo(result).shape == photo.shape  # turned once, not twice
    with Image.open(result) as file:
        exif = file.getexif()
        assert exif[MAKE] == "Example"
        assert exif[ORIENTATION] == 1
        assert exif.get_ifd(CAMERA)[DATE] == "2026:01:02 03:04:05"
        assert not exif.get_ifd(CAMERA).keys() & {MAKER_NOTE, SUBJECT_AREA, 0xA002, 0xA003}
        assert not exif.get_ifd(GPS)
    assert b"serial 1234" not in result.read_bytes()


def test_the_place_is_kept_when_asked_for(phone_photo: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.jpg"
    write_photo(result, read_photo(phone_photo), exif=read_exif(phone_photo, location=True))
    with Image.open(result) as file:
        assert [float(x) for x in file.getexif().get_ifd(GPS)[2]] == [47.0, 22.0, 0.0]


def test_the_preview_picture_goes(tmp_path: Path) -> None:
    from io import BytesIO

    preview = BytesIO()
    Image.new("RGB", (16, 16), "red").save(preview, "JPEG")
    # A TIFF of two pictures is what EXIF with a preview is: camera entries, then the preview in a folder of its own.
    exif = Image.Exif()
    exif[MAKE] = "Example"
    body = exif.tobytes()[6:]
    entries = int.from_bytes(body[8:10], "little" if body[:2] == b"II" else "big")
    order = "little" if body[:2] == b"II" else "big"
    link = 10 + 12 * entries
    second = (2).to_bytes(2, order)
    for tag, value in ((0x0201, len(body) + 2 + 24 + 4), (0x0202, len(preview.getvalue()))):
        second += tag.to_bytes(2, order) + (4).to_bytes(2, order) + (1).to_bytes(4, order) + value.to_bytes(4, order)
    second += (0).to_bytes(4, order)
    whole = body[:link] + len(body).to_bytes(4, order) + body[link + 4 :] + second + preview.getvalue()
    path = tmp_path / "preview.jpg"
    Image.new("RGB", (32, 32)).save(path, exif=b"Exif\0\0" + whole)
    assert preview.getvalue()[:40] in path.read_bytes()
    kept = read_exif(path)
    assert kept and preview.getvalue()[:40] not in kept


def test_without_exif_or_with_a_damaged_one_nothing_is_kept(tmp_path: Path) -> None:
    plain, damaged = tmp_path / "plain.png", tmp_path / "damaged.jpg"
    write_photo(plain, np.zeros((4, 4, 3), np.uint8))
    assert read_exif(plain) == b""
    Image.new("RGB", (8, 8)).save(damaged, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(range(40)))
    assert isinstance(read_exif(damaged), bytes)
    (tmp_path / "text.jpg").write_text("no photo")
    assert read_exif(tmp_path / "text.jpg") == b""


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no such file"):
        read_exif(tmp_path / "missing.jpg")
    with pytest.raises(PhotoError, match="got a folder"):
        read_exif(tmp_path)


def test_what_a_jpeg_cannot_hold_goes_the_largest_first(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[MAKE] = "Example"
    exif[0x010E] = "a caption. " * 4_000  # 44 kB
    exif.get_ifd(CAMERA).update({DATE: "2026:01:02 03:04:05", 0x9286: b"a comment. " * 5_000})  # 55 kB
    path = tmp_path / "long.png"
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    kept = read_exif(path)
    assert 44_000 < len(kept) < 65_000
    result = tmp_path / "result.jpg"
    write_photo(result, read_photo(path), exif=kept)
    with Image.open(result) as file:
        written = file.getexif()
        assert written[MAKE] == "Example" and written[0x010E] == exif[0x010E]
        assert written.get_ifd(CAMERA)[DATE] == "2026:01:02 03:04:05"
        assert 0x9286 not in written.get_ifd(CAMERA)


def test_bmp_goes_without(phone_photo: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "result.bmp", read_photo(phone_photo), exif=read_exif(phone_photo))
    assert read_photo(tmp_path / "result.bmp").shape == (60, 40, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("ending", [".tif", ".png", ".jpg"])
def test_how_a_tiff_is_stored_does_not_pass_to_the_result(mode: str, ending: str, tmp_path: Path) -> None:
    """Its extra channels and its colour profile are no business of a result that has neither."""
    source, result = tmp_path / "source.tif", tmp_path / f"result{ending}"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.new(mode, (20, 12), 128).save(source, tiffinfo={MAKE: "Example"}, icc_profile=profile)
    photo = read_photo(source)
    write_photo(result, photo, exif=read_exif(source))
    with Image.open(result) as file:
        exif = file.getexif()
        assert exif[MAKE] == "Example" and not exif.keys() & {34675, 320, 266} and "icc_profile" not in file.info
    found = read_photo(result)
    assert found.shape == photo.shape
    if ending != ".jpg":
        assert np.array_equal(found, photo)


@pytest.mark.parametrize("ending", [".tif", ".jpg", ".png", ".webp"])
def test_the_place_is_in_no_other_block_either(ending: str, tmp_path: Path) -> None:
    source, result = tmp_path / "source.tif", tmp_path / f"result{ending}"
    blocks = {700: b'<x exif:GPSLatitude="48,8.5N"/>', 33723: b"Munich..", 34377: b"8BIM thumbnail."}
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, block in blocks.items():
        info[tag], info.tagtype[tag] = block, TiffTags.BYTE
    Image.new("RGB", (20, 12)).save(source, tiffinfo=info)
    assert all(block in source.read_bytes() for block in blocks.values())
    write_photo(result, read_photo(source), exif=read_exif(source))
    assert not any(block in result.read_bytes() for block in blocks.values())
