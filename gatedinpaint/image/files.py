"""Safe reading and writing of photo files."""

import errno
import os
import stat
import uuid
import warnings
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from gatedinpaint._optional import require
from gatedinpaint.image.photo import Photo, check_photo

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""The file formats that :func:`read_photo` opens, and HEIC besides where the extra ``heic`` is installed. Everything
else is refused before a decoder sees it."""
MAX_PIXELS = 100_000_000
"""Largest photo that :func:`read_photo` decodes by default: 100 megapixels, 300 MB of memory."""

# What bytes 4 to 12 of a HEIC file are: a box of the kind "ftyp", and a brand of HEVC pictures.
_HEIC = {b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")}

# How to turn a picture upright, by its EXIF orientation.
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class PhotoError(ValueError):
    """A file that cannot be read as a photo; the message says why in one line."""


def read_photo(source: str | os.PathLike[str] | IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo file as uint8 RGB (H, W, 3), turned upright by its EXIF orientation.

    The size is checked from the header before anything is decoded. Colours of an embedded ICC profile, such as Display
    P3 or CMYK, are converted to sRGB. Transparency is laid on white, 16 bits per channel are scaled to 8. A damaged
    profile or EXIF is ignored. Needs the extra ``faces`` (Pillow); HEIC photos, as iPhones take them, ``heic``.

    Args:
        source: the path of a JPEG, PNG, WebP, TIFF, BMP or HEIC file, or such a file opened for reading bytes: any
            object with ``read``.
        max_pixels: larger photos are refused, and in any case those of more than twice Pillow's own
            ``PIL.Image.MAX_IMAGE_PIXELS``, 179 megapixels.

    Raises:
        PhotoError: missing, not a regular file, not one of the formats, damaged, truncated, or too large; a HEIC file
            without the extra ``heic``; pixels of 32 bits, whose range nobody knows.
        ImportError: Pillow is not installed.

    Example:
        >>> read_photo("missing.jpg")
        Traceback (most recent call last):
        ...
        gatedinpaint.image.files.PhotoError: missing.jpg: no such file.
    """
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "photo"))
    else:
        name = os.fspath(cast(str, source))
        check_file(name)
    pil = require("PIL.Image", "faces")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow only warns of bombs; the check below refuses them
        try:
            source = BytesIO(source.read()) if hasattr(source, "read") and not _can_seek(source) else source
            with pil.open(source, formats=formats_of(source, name)) as file:
                width, height = file.size
                if width * height > max_pixels:
                    raise PhotoError(f"{name}: {width} × {height} pixels; {_at_most(max_pixels)}")
                file.load()
                return check_photo(_to_rgb(_upright(file)))
        except PhotoError:
            raise
        except pil.DecompressionBombError as error:
            raise PhotoError(
                f"{name}: too many pixels; {_at_most(min(max_pixels, 2 * pil.MAX_IMAGE_PIXELS))}"
            ) from error
        except pil.UnidentifiedImageError as error:
            raise PhotoError(f"{name}: cannot be read as a photo: expected {', '.join(FORMATS)}.") from error
        except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, struct.error, … on damaged files
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise PhotoError(f"{name}: cannot be read as a photo: {reason}.") from error


def formats_of(source: str | os.PathLike[str] | IO[bytes], name: str) -> tuple[str, ...]:
    """What Pillow may take a file for: HEIF where it begins like one, else :data:`FORMATS`."""
    if hasattr(source, "read"):
        stream = cast(IO[bytes], source)
        stream.seek(0)  # as Pillow does
        head = stream.read(12)
        stream.seek(0)
    else:
        with Path(source).open("rb") as file:
            head = file.read(12)
    if head[4:] not in _HEIC:
        return FORMATS
    try:
        require("pillow_heif", "heic").register_heif_opener()
    except ImportError as error:
        raise PhotoError(f"{name}: is a HEIC photo. {error}") from error
    return ("HEIF",)


def _can_seek(stream: Any) -> bool:
    """A pipe or an answer of a server has ``seek`` as well, and refuses it."""
    return bool(stream.seekable()) if hasattr(stream, "seekable") else hasattr(stream, "seek")


def _at_most(max_pixels: int) -> str:
    return f"at most {max_pixels / 1e6:.0f} megapixels are read. Shrink it first."


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise :class:`PhotoError` unless ``path`` is a file that can be opened without waiting."""
    path = Path(path)
    if not path.exists():
        raise PhotoError(f"{path}: no such file.")
    if not path.is_file():  # a FIFO would hang every decoder
        raise PhotoError(f"{path}: expected a photo file; got a {'folder' if path.is_dir() else 'special file'}.")


def _upright(picture: Any) -> Any:
    # Not ImageOps.exif_transpose: it also writes the EXIF anew, which fails where another entry is damaged.
    try:
        turn = _UPRIGHT.get(picture.getexif().get(_ORIENTATION_TAG))
    except Exception:  # SyntaxError, struct.error, … : the pixels are whole all the same
        return picture
    return picture.transpose(require("PIL.Image", "faces").Transpose[turn]) if turn else picture


def _to_srgb(picture: Any) -> Any:
    """The picture in the colours of sRGB, when it carries the profile of another space."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return picture
    cms = require("PIL.ImageCms", "faces")
    mode = "RGBA" if picture.mode == "RGBA" else "RGB"
    picture = picture.convert("RGB") if picture.mode == "P" else picture
    try:
        converted = cms.profileToProfile(picture, BytesIO(profile), cms.createProfile("sRGB"), outputMode=mode)
    except Exception:  # a damaged profile, or one of another mode than the picture
        return picture
    if picture.mode != mode:
        return converted
    # One step is the rounding between two editions of sRGB itself: such a photo keeps its bytes.
    difference = require("PIL.ImageChops", "faces").difference(picture, converted).getextrema()
    return converted if max(largest for _, largest in difference) > 1 else picture


def _to_rgb(picture: Any) -> Photo:
    if picture.mode in ("I", "F"):
        raise ValueError("pixels of 32 bits have no fixed range; store them with 8 or 16")
    if picture.mode.startswith("I;16"):  # Pillow's own conversion saturates at 255
        grey = (np.asarray(picture) / 257.0).round().astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = _to_srgb(picture.convert("RGBA"))
        white = require("PIL.Image", "faces").new("RGBA", picture.size, "white")
        picture = require("PIL.Image", "faces").alpha_composite(white, picture)
    return np.array(_to_srgb(picture).convert("RGB"))


def write_photo(
    path: str | os.PathLike[str], photo: Photo, *, overwrite: bool = False, exif: bytes | None = None
) -> None:
    """Write a photo; the file appears complete or not at all. The ending of ``path`` chooses the format.

    JPEG and WebP are written at quality 95, PNG, TIFF and BMP without loss. A symbolic link is kept and the file that
    it points to is written. Needs the extra ``faces`` (Pillow).

    Args:
        path: where to.
        photo: uint8 RGB (H, W, 3).
        overwrite: replace a file that exists.
        exif: from :func:`read_exif`, to be written beside the pixels; BMP cannot hold it and goes without.

    Raises:
        FileExistsError: ``path`` exists, be it as a link to nothing, and ``overwrite`` is not set.
        ValueError: an ending that names no known format.
        OSError: the folder is missing or cannot be written to, or ``path`` is a link that leads back to itself.

    Example:
        >>> path = getfixture("tmp_path") / "grey.png"
        >>> write_photo(path, np.full((4, 6, 3), 99, np.uint8))
        >>> read_photo(path).shape
        (4, 6, 3)
    """
    path = Path(path)
    photo = check_photo(photo)
    pil = require("PIL.Image", "faces")
    format = pil.registered_extensions().get(path.suffix.lower())
    if format not in FORMATS:
        raise ValueError(f"{path}: expected an ending such as .png or .jpg; got {path.suffix or 'none'!r}.")
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(f"{path}: exists already and is not overwritten.")
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    temporary = target.with_name(f".{uuid.uuid4().hex}{path.suffix}")  # short: the name itself may be at the limit
    try:
        with temporary.open("xb") as file:
            pil.fromarray(photo).save(file, format=format, quality=95, **({"exif": exif} if exif else {}))
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))  # a private photo stays private
            temporary.replace(target)
        else:
            _publish(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _publish(temporary: Path, target: Path) -> None:
    """Give a file its name, unless another process has taken that in the meantime."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise FileExistsError(f"{target}: exists already and is not overwritten.") from None
    except OSError:  # a file system without links
        temporary.replace(target)
