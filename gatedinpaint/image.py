"""Photos (uint8 RGB, numpy) to images (float tensors in [−1, 1]) and back; safe reading and writing of photo files."""

import errno
import os
import uuid
import warnings
from io import BytesIO
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gatedinpaint._checks import check_image
from gatedinpaint._optional import require

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "Hole",
    "Photo",
    "PhotoError",
    "check_photo",
    "image_to_photo",
    "photo_to_image",
    "read_photo",
    "write_photo",
]

Photo = npt.NDArray[np.uint8]
"""uint8 RGB array (H, W, 3)."""
Hole = npt.NDArray[np.bool_]
"""bool array (H, W); True = hole."""

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
"""The file formats that :func:`read_photo` opens. Everything else is refused before a decoder sees it."""
MAX_PIXELS = 100_000_000
"""Largest photo that :func:`read_photo` decodes by default: 100 megapixels, 300 MB of memory."""

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


def check_photo(photo: object, *, name: str = "photo") -> Photo:
    """Return ``photo`` as a contiguous uint8 RGB array (H, W, 3), or raise.

    Raises:
        TypeError: not a numpy array, or not uint8.
        ValueError: not (H, W, 3), or empty.

    Example:
        >>> check_photo(np.zeros((4, 6, 3), np.uint8)).shape
        (4, 6, 3)
    """
    if not isinstance(photo, np.ndarray):
        raise TypeError(f"{name} must be a numpy array (H, W, 3) of uint8; got {type(photo).__name__}.")
    if photo.dtype != np.uint8:
        raise TypeError(f"{name} must be uint8 in 0…255; got {photo.dtype}. Use image_to_photo for a float image.")
    if photo.ndim != 3 or photo.shape[2] != 3:
        hint = " Drop the alpha channel: photo[..., :3]." if photo.ndim == 3 and photo.shape[2] == 4 else ""
        hint = hint or (" Repeat the grey channel: np.stack([photo] * 3, -1)." if photo.ndim == 2 else "")
        raise ValueError(f"{name} must be RGB (H, W, 3); got {photo.shape}.{hint}")
    if photo.size == 0:
        raise ValueError(f"{name} must not be empty; got {photo.shape}.")
    return np.ascontiguousarray(photo)


def photo_to_image(photo: Photo) -> Tensor:
    """uint8 (H, W, 3) in 0…255 → float32 (1, 3, H, W) in [−1, 1]: v / 127.5 − 1.

    Example:
        >>> photo_to_image(np.full((1, 1, 3), 255, np.uint8)).flatten().tolist()
        [1.0, 1.0, 1.0]
    """
    pixels = torch.from_numpy(check_photo(photo).copy())
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1.0


def image_to_photo(image: Tensor) -> Photo:
    """float (1, 3, H, W) in [−1, 1] → uint8 (H, W, 3); values outside the range are clipped, then rounded.

    The exact inverse of :func:`photo_to_image`.

    Raises:
        ValueError: not one RGB image, or NaN in it.

    Example:
        >>> image_to_photo(torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 3, 1, 1)).tolist()
        [[[0, 128, 255]]]
    """
    check_image(image)
    if image.shape[0] != 1:
        raise ValueError(f"image must hold one image (1, 3, H, W); got {tuple(image.shape)}. Pass image[i : i + 1].")
    if image.isnan().any():
        raise ValueError("image must not hold NaN.")
    pixels = ((image.detach().float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    photo: Photo = pixels[0].permute(1, 2, 0).cpu().contiguous().numpy()
    return photo


def read_photo(source: str | os.PathLike[str] | IO[bytes], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a photo file as uint8 RGB (H, W, 3), turned upright by its EXIF orientation.

    The size is checked from the header before anything is decoded. Colours of an embedded ICC profile, such as Display
    P3 or CMYK, are converted to sRGB. Transparency is laid on white, 16 bits per channel are scaled to 8. A damaged
    profile or EXIF is ignored. Needs the extra ``faces`` (Pillow).

    Args:
        source: the path of a JPEG, PNG, WebP, TIFF or BMP file, or such a file opened for reading bytes: any object
            with ``read``.
        max_pixels: larger photos are refused.

    Raises:
        PhotoError: missing, not a regular file, not one of the formats, damaged, truncated, or too large.
        ImportError: Pillow is not installed.

    Example:
        >>> read_photo("missing.jpg")
        Traceback (most recent call last):
        ...
        gatedinpaint.image.PhotoError: missing.jpg: no such file.
    """
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "photo"))
    else:
        name = os.fspath(cast(str, source))
        _check_file(Path(name))
    pil = require("PIL.Image", "faces")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow only warns of bombs; the check below refuses them
        try:
            with pil.open(source, formats=FORMATS) as file:
                width, height = file.size
                if width * height > max_pixels:
                    raise PhotoError(f"{name}: {width} × {height} pixels; {_at_most(max_pixels)}")
                file.load()
                return check_photo(_to_rgb(_upright(file)))
        except PhotoError:
            raise
        except pil.DecompressionBombError as error:
            raise PhotoError(f"{name}: too many pixels; {_at_most(max_pixels)}") from error
        except pil.UnidentifiedImageError as error:
            raise PhotoError(f"{name}: cannot be read as a photo: expected {', '.join(FORMATS)}.") from error
        except Exception as error:  # decoders raise OSError, ValueError, SyntaxError, struct.error, … on damaged files
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise PhotoError(f"{name}: cannot be read as a photo: {reason}.") from error


def _at_most(max_pixels: int) -> str:
    return f"at most {max_pixels / 1e6:.0f} megapixels are read. Shrink it first."


def _check_file(path: Path) -> None:
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
    if picture.mode.startswith("I") or picture.mode == "F":  # Pillow's own conversion saturates 16 bits at 255
        grey = np.asarray(picture).astype(np.float64)
        scale = 257.0 if picture.mode.startswith("I") else 1.0
        return np.repeat((grey / scale).round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = _to_srgb(picture.convert("RGBA"))
        white = require("PIL.Image", "faces").new("RGBA", picture.size, "white")
        picture = require("PIL.Image", "faces").alpha_composite(white, picture)
    return np.array(_to_srgb(picture).convert("RGB"))


def write_photo(path: str | os.PathLike[str], photo: Photo, *, overwrite: bool = False) -> None:
    """Write a photo; the file appears complete or not at all. The ending of ``path`` chooses the format.

    JPEG and WebP are written at quality 95, PNG, TIFF and BMP without loss. A symbolic link is kept and the file that
    it points to is written. Needs the extra ``faces`` (Pillow).

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
            pil.fromarray(photo).save(file, format=format, quality=95)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
