import io
import os
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from gatedinpaint import PhotoError, read_photo, write_photo
from gatedinpaint.image import read_exif

SMOOTH = np.linspace(0, 255, 64 * 90 * 3).reshape(64, 90, 3).astype(np.uint8)


def random_photo(height: int = 9, width: int = 13) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
def test_lossless_formats_round_trip(tmp_path: Path, ending: str) -> None:
    write_photo(tmp_path / f"a{ending}", random_photo())
    assert np.array_equal(read_photo(tmp_path / f"a{ending}"), random_photo())


@pytest.mark.parametrize("ending", [".jpg", ".webp", ".JPEG"])
def test_lossy_formats_come_close(tmp_path: Path, ending: str) -> None:
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    write_photo(tmp_path / f"a{ending}", smooth)
    assert np.abs(read_photo(tmp_path / f"a{ending}").astype(int) - smooth).mean() < 4


def test_reads_an_open_file() -> None:
    file = io.BytesIO()
    Image.fromarray(random_photo()).save(file, "PNG")
    file.seek(0)
    assert np.array_equal(read_photo(file), random_photo())


def test_reads_whatever_can_be_read() -> None:
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        Image.fromarray(random_photo()).save(file, "PNG")
        file.seek(0)
        assert np.array_equal(read_photo(file), random_photo())

        class Stream:  # as of a web request: nothing but read
            read = io.BytesIO(Path(file.name).read_bytes()).read

        assert np.array_equal(read_photo(Stream()), random_photo())
        file.truncate(50)
        file.seek(0)
        with pytest.raises(PhotoError, match=f"^{file.name}: cannot be read"):
            read_photo(file)


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    """A smooth picture of 90 × 64 pixels, with an EXIF that names maker and place."""
    exif = Image.Exif()
    exif[0x010F] = "Example"
    exif.get_ifd(0x8825)[1] = "N"
    pillow_heif.from_pillow(Image.fromarray(SMOOTH)).save(tmp_path / "a.heic", quality=95, exif=exif.tobytes())
    return tmp_path / "a.heic"


def test_reads_heic(heic: Path) -> None:
    photo = read_photo(heic)
    assert photo.shape == SMOOTH.shape and photo.dtype == np.uint8
    assert np.abs(photo.astype(int) - SMOOTH).mean() < 4
    assert np.array_equal(read_photo(io.BytesIO(heic.read_bytes())), photo)
    exif = Image.Exif()
    exif.load(read_exif(heic))
    assert exif[0x010F] == "Example" and not exif.get_ifd(0x8825)


def test_heic_is_measured_before_it_is_decoded(heic: Path) -> None:
    with pytest.raises(PhotoError, match=r"90 × 64 pixels; at most 0 megapixels"):
        read_photo(heic, max_pixels=5000)


def test_damaged_heic(heic: Path, tmp_path: Path) -> None:
    for length in (12, 200, len(heic.read_bytes()) - 300):
        (tmp_path / "cut.heic").write_bytes(heic.read_bytes()[:length])
        with pytest.raises(PhotoError, match="cut.heic: cannot be read as a photo"):
            read_photo(tmp_path / "cut.heic")
        assert read_exif(tmp_path / "cut.heic") == b"" or length > 200  # of a file cut at its end it is whole


def test_heic_without_its_plug_in_names_the_command(heic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r'a.heic: is a HEIC photo. .* pip install "gatedinpaint\[heic\]"'):
        read_photo(heic)
    assert read_exif(heic) == b""


def test_heic_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected an ending such as .png or .jpg; got '.heic'"):
        write_photo(tmp_path / "a.heic", random_photo())


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda photo: photo),
        (2, lambda photo: photo[:, ::-1]),
        (3, lambda photo: photo[::-1, ::-1]),
        (4, lambda photo: photo[::-1]),
        (5, lambda photo: photo.swapaxes(0, 1)),
        (6, lambda photo: np.rot90(photo, -1)),
        (7, lambda photo: photo[::-1, ::-1].swapaxes(0, 1)),
        (8, lambda photo: np.rot90(photo)),
        (9, lambda photo: photo),
    ],
)
def test_every_orientation(format: str, orientation: int, turned) -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(random_photo()).save(file, format, exif=exif)
    file.seek(0)
    assert np.array_equal(read_photo(file), turned(random_photo()))


def test_damaged_exif_does_not_hide_the_photo() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    whole = exif.tobytes()
    for place in range(len(whole)):
        file = io.BytesIO()
        Image.fromarray(random_photo()).save(file, "PNG", exif=whole[:place] + b"\x07" + whole[place + 1 :])
        file.seek(0)
        assert np.array_equal(np.sort(read_photo(file), axis=None), np.sort(random_photo(), axis=None))


def srgb_profile(*, old: bytes = b"", new: bytes = b"") -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert old in profile
    return profile.replace(old, new) if old else profile


def swapped_profile() -> bytes:
    """A space whose red is sRGB's green, and the other way round."""
    red, green = (srgb_profile().index(name) for name in (b"rXYZ", b"gXYZ"))
    profile = bytearray(srgb_profile())
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_colour_profile_is_converted_to_srgb(format: str) -> None:
    file = io.BytesIO()
    Image.fromarray(random_photo()).save(file, format, icc_profile=swapped_profile())
    file.seek(0)
    np.testing.assert_allclose(read_photo(file), random_photo()[..., [1, 0, 2]], atol=1)


def test_a_colour_profile_under_transparency_and_a_palette() -> None:
    clear = np.dstack([random_photo(), np.full((9, 13), 255, np.uint8)])
    clear[0, 0, 3] = 0
    file = io.BytesIO()
    Image.fromarray(clear).save(file, "PNG", icc_profile=swapped_profile())
    file.seek(0)
    read = read_photo(file)
    assert read[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_allclose(read[1:], random_photo()[1:, :, [1, 0, 2]], atol=1)
    palette, file = Image.fromarray(random_photo()).quantize(256), io.BytesIO()
    palette.save(file, "PNG", icc_profile=swapped_profile())
    file.seek(0)
    np.testing.assert_allclose(read_photo(file), np.asarray(palette.convert("RGB"))[..., [1, 0, 2]], atol=1)


def test_srgb_and_useless_profiles_change_nothing() -> None:
    # Another edition of sRGB: its white and red differ in the fourth digit, as those of Windows and Adobe do.
    start = struct.unpack(">I", srgb_profile().partition(b"rXYZ")[2][:4])[0] + 8
    red = srgb_profile()[start : start + 4]
    edition = srgb_profile(old=red, new=struct.pack(">i", struct.unpack(">i", red)[0] + 20))
    for profile in (srgb_profile(), edition, b"junk", srgb_profile()[:300]):
        file = io.BytesIO()
        Image.fromarray(random_photo(256, 256)).save(file, "PNG", icc_profile=profile)
        file.seek(0)
        assert np.array_equal(read_photo(file), random_photo(256, 256))
    file = io.BytesIO()
    Image.fromarray(random_photo()[..., 0]).save(
        file, "PNG", icc_profile=srgb_profile()
    )  # of colours, for a grey photo
    file.seek(0)
    assert np.array_equal(read_photo(file), np.repeat(random_photo()[..., :1], 3, 2))


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top of the scene is the right of the stored picture
    Image.fromarray(random_photo()).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png"), np.rot90(random_photo(), -1))


def test_grey_palette_alpha_and_16_bits_become_rgb(tmp_path: Path) -> None:
    grey = random_photo()[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(read_photo(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert np.array_equal(read_photo(tmp_path / "deep.png"), np.repeat(grey[..., None], 3, 2))
    clear = np.dstack([random_photo(), np.zeros((9, 13), np.uint8)])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (read_photo(tmp_path / "clear.png") == 255).all()
    Image.fromarray(random_photo()).quantize(256).save(tmp_path / "palette.png")
    assert read_photo(tmp_path / "palette.png").shape == (9, 13, 3)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises pixels that never come."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def test_bad_files_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "empty.png").write_bytes(b"")
    write_photo(tmp_path / "whole.jpg", np.full((256, 256, 3), 99, np.uint8))
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-400])
    (tmp_path / "bomb.png").write_bytes(png_of_size(30_000, 30_000))
    (tmp_path / "large.png").write_bytes(png_of_size(11_000, 10_000))
    (tmp_path / "lies.png").write_bytes(png_of_size(100, 100))
    (tmp_path / "icon.png").write_bytes(b"GIF89a" + b"\0" * 50)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    expected = {
        "missing.jpg": "no such file",
        "text.jpg": "cannot be read as a photo: expected JPEG, PNG",
        "empty.png": "cannot be read as a photo",
        "half.jpg": "cannot be read as a photo: .*truncated",
        "bomb.png": "at most 100 megapixels are read. Shrink it first",
        "large.png": "11000 × 10000 pixels; at most 100 megapixels",
        "lies.png": "cannot be read as a photo",
        "icon.png": "expected JPEG, PNG",
        "pipe.png": "got a special file",
        "folder.png": "got a folder",
    }
    for name, message in expected.items():
        with pytest.raises(PhotoError, match=message) as error:
            read_photo(tmp_path / name)
        assert str(error.value).startswith(str(tmp_path / name))
        assert "\n" not in str(error.value)


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_photo(path, random_photo())
    with pytest.raises(FileExistsError, match="exists already and is not overwritten"):
        write_photo(path, np.zeros((2, 2, 3), np.uint8))
    assert np.array_equal(read_photo(path), random_photo())
    write_photo(path, np.zeros((2, 2, 3), np.uint8), overwrite=True)
    assert read_photo(path).shape == (2, 2, 3)


def test_a_link_is_kept_and_its_target_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "target.png", tmp_path / "link.png"
    link.symlink_to(target)
    with pytest.raises(FileExistsError, match=r"link\.png: exists already"):  # to nothing, so far
        write_photo(link, random_photo())
    for photo in (random_photo(), random_photo(5, 5)):
        write_photo(link, photo, overwrite=True)
        assert link.is_symlink()
        assert np.array_equal(read_photo(target), photo)
    assert [path.name for path in target.parent.iterdir()] == ["target.png"]


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    one.symlink_to(other)
    other.symlink_to(one)
    with pytest.raises(OSError, match=r"one\.png") as error:
        write_photo(one, random_photo(), overwrite=True)
    assert "\n" not in str(error.value)
    assert one.is_symlink() and other.is_symlink()


def test_the_longest_name_that_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("a" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".png")
    write_photo(path, random_photo())
    assert np.array_equal(read_photo(path), random_photo())


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space"):
        write_photo(tmp_path / "a.png", random_photo())
    assert list(tmp_path.iterdir()) == []


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    for name in ("a", "a.gif", "a.pdf", "a.txt"):
        with pytest.raises(ValueError, match=r"expected an ending such as \.png or \.jpg"):
            write_photo(tmp_path / name, random_photo())


def test_reads_a_stream_that_cannot_seek() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation("File or stream is not seekable.")

    file = io.BytesIO()
    Image.fromarray(random_photo()).save(file, "PNG")
    assert np.array_equal(read_photo(Pipe(file.getvalue())), random_photo())


def test_pillows_own_limit_is_the_one_that_is_named() -> None:
    with pytest.raises(PhotoError, match="too many pixels; at most 179 megapixels are read"):
        read_photo(io.BytesIO(png_of_size(16320, 12240)), max_pixels=250_000_000)


def test_of_two_writers_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, save = tmp_path / "race.png", Image.Image.save

    def slower(self: Image.Image, *arguments: object, **options: object) -> None:
        save(self, *arguments, **options)
        target.write_bytes(b"the other's")

    monkeypatch.setattr(Image.Image, "save", slower)
    with pytest.raises(FileExistsError, match="race.png: exists already and is not overwritten"):
        write_photo(target, SMOOTH)
    assert target.read_bytes() == b"the other's"
    assert list(tmp_path.iterdir()) == [target]


def test_where_there_are_no_links_a_photo_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_arguments: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuses)
    write_photo(tmp_path / "a.png", SMOOTH)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_private_photo_stays_private(tmp_path: Path) -> None:
    write_photo(tmp_path / "a.png", SMOOTH)
    (tmp_path / "a.png").chmod(0o600)
    write_photo(tmp_path / "a.png", SMOOTH[::-1], overwrite=True)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_of_32_bits_are_refused(tmp_path: Path, dtype: type) -> None:
    Image.fromarray(np.linspace(0, 1, 12).reshape(3, 4).astype(dtype)).save(tmp_path / "a.tif")
    with pytest.raises(PhotoError, match="32 bits have no fixed range"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("ending", [".heic", ".png"])
def test_a_stream_that_stands_at_its_end_is_read_from_its_beginning(tmp_path: Path, ending: str) -> None:
    pillow_heif.register_heif_opener()
    Image.fromarray(SMOOTH).save(tmp_path / f"a{ending}")
    stream = io.BytesIO((tmp_path / f"a{ending}").read_bytes())
    stream.seek(0, 2)
    assert np.array_equal(read_photo(stream), read_photo(tmp_path / f"a{ending}"))
