"""What a camera wrote beside the pixels, made fit for a result: upright, and without where it was taken."""

import os
import warnings
from typing import Any

from gatedinpaint._optional import require
from gatedinpaint.image.files import check_file, formats_of

_ORIENTATION, _EXIF_FOLDER, _GPS_FOLDER = 0x0112, 0x8769, 0x8825
_INTEROPERABILITY = 0xA005
_MAKER_NOTE = 0x927C
_SUBJECT = (0x9214, 0xA214)  # in pixels of the photo before it was turned
_SIZES = (0xA002, 0xA003)
# Of the first folder what describes the photo stays: title, maker, model, resolution, software, date, author, computer,
# rating, copyright, and Windows' own title, comment, author, keywords and subject. All else is about the file's own
# storage (strips, colour planes, profile), or may hold the place and the preview once more (XMP, IPTC, Photoshop's).
_DESCRIBING = (
    *(0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298),
    *range(0x9C9B, 0x9CA0),
)
_MOST = 65_000  # bytes; a JPEG's length field ends at 65,535


def read_exif(path: str | os.PathLike[str], *, location: bool = False) -> bytes:
    """EXIF of a photo file for a result made of it by :func:`read_photo`; ``b""`` where there is none.

    Camera, lens, exposure, date and author stay. The orientation is set to upright, since :func:`read_photo` has turned
    the pixels. The preview picture goes, which would still show the photo as it was, and so do the maker's private
    notes, which can hold serial numbers and places. A JPEG holds no more than 64 kB of EXIF: where there is
    more, the largest entries go until at most 65,000 bytes are left.

    Args:
        path: a photo file.
        location: keep where the photo was taken (the GPS entries).

    Raises:
        PhotoError: missing, or not a regular file. A damaged EXIF is no error: it counts as none.
        ImportError: Pillow is not installed.

    Reference:
        CIPA DC-008, "Exchangeable image file format for digital still cameras: Exif".

    Example:
        >>> from gatedinpaint import write_photo
        >>> import numpy as np
        >>> path = getfixture("tmp_path") / "grey.png"
        >>> write_photo(path, np.full((4, 6, 3), 99, np.uint8))
        >>> read_exif(path)
        b''
    """
    check_file(path)
    pil = require("PIL.Image", "faces")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, on damaged entries and on large files whose pixels are not read
        try:
            with pil.open(path, formats=formats_of(path, str(path))) as file:
                return _kept(file.getexif(), location=location)
        except Exception:  # SyntaxError, struct.error, OSError, … : every damage has another
            return b""


def _kept(exif: Any, *, location: bool) -> bytes:
    kept = require("PIL.Image", "faces").Exif()
    kept.update({tag: value for tag, value in exif.items() if tag in _DESCRIBING})
    camera = exif.get_ifd(_EXIF_FOLDER)
    dropped = (_MAKER_NOTE, _INTEROPERABILITY, *_SUBJECT, *_SIZES)
    kept.get_ifd(_EXIF_FOLDER).update({tag: value for tag, value in camera.items() if tag not in dropped})
    if location:
        kept.get_ifd(_GPS_FOLDER).update(exif.get_ifd(_GPS_FOLDER))
    if not len(kept) and not kept.get_ifd(_EXIF_FOLDER) and not kept.get_ifd(_GPS_FOLDER):
        return b""
    kept[_ORIENTATION] = 1
    written: bytes = kept.tobytes()
    while len(written) > _MOST:
        parts = (kept, kept.get_ifd(_EXIF_FOLDER), kept.get_ifd(_GPS_FOLDER))
        _, tag, part = max(
            ((_length(part[tag]), tag, part) for part in parts for tag in part), key=lambda entry: entry[0]
        )
        del part[tag]
        written = kept.tobytes()
    return written


def _length(value: Any) -> int:
    return len(value) if isinstance(value, (bytes, str, tuple)) else 0
