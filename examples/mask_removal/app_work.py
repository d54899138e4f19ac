"""What the web page does with photos: bytes in; a sentence, pictures to look at and the full result out."""

import io
import threading
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from examples.mask_removal.pipeline import Origin, Removal, remove_mask
from examples.mask_removal.remove import ORIGIN_COLOURS
from gatedinpaint import InpaintGenerator, PhotoError, read_photo
from gatedinpaint.faces import Face, Landmarker, MaskNotFoundError, NoFaceError, face_height

MOST_BYTES = 30_000_000
"""Largest file that is taken."""
MOST_PIXELS = 50_000_000
"""Largest photo that is decoded."""
SIDE = 1280
"""Longer side in pixels of what is shown on the page; the download has the photo's own size."""

_one_at_a_time = threading.Lock()  # decoding 50 megapixels takes 150 MB


@dataclass(frozen=True)
class View:
    """The same part of the photo before and after, and where its pixels come from; JPEG."""

    name: str
    before: bytes
    after: bytes
    origin: bytes


@dataclass(frozen=True)
class Answer:
    """What the page shows."""

    message: str
    views: list[View] = field(default_factory=list)
    """The faces from close by, and the whole photo where that is more."""
    result: bytes | None = None
    """PNG of the photo's size; None where nothing was filled."""
    window: tuple[int, int, int, int] | None = None
    """Left, top, width and height of what the brush is offered, in pixels of the photo; None without a face."""
    canvas: bytes | None = None
    """That part of the photo, JPEG."""
    hole: bytes | None = None
    """The hole in it, a PNG of the same size, white on black."""


def decode(data: bytes, name: str = "photo") -> np.ndarray:
    """A file's bytes as a photo.

    Raises:
        PhotoError: not a photo, damaged, or too large; one sentence.
    """
    if len(data) > MOST_BYTES:
        raise PhotoError(f"{name}: {len(data) / 1e6:.0f} MB; at most {MOST_BYTES / 1e6:.0f} MB are taken.")
    file = io.BytesIO(data)
    file.name = name
    with _one_at_a_time:
        return read_photo(file, max_pixels=MOST_PIXELS)


def preview(data: bytes, name: str = "photo") -> bytes:
    """A small JPEG of a photo, upright: also of formats that browsers do not show."""
    return _jpeg(_fit(decode(data, name), SIDE // 2))


def answer(
    photo: np.ndarray,
    generator: InpaintGenerator,
    landmarker: Landmarker,
    *,
    reference: np.ndarray | None = None,
    faces: Literal["masked"] | int = "masked",
    hole: np.ndarray | None = None,
) -> Answer:
    """Take the face masks off; where none is found, offer the brush.

    Raises:
        ValueError: as :func:`remove_mask`, but for a face mask that is not found.
    """
    try:
        removal = remove_mask(photo, generator, landmarker, reference=reference, faces=faces, hole=hole)
    except MaskNotFoundError:
        found = landmarker.detect(photo)
        window = face_window(photo, found)
        message = "No face mask was found on the face. If there is one, paint over it below, and fill what you painted."
        return Answer(message, window=window, **_canvas(photo, np.zeros(photo.shape[:2], bool), window))
    except NoFaceError as error:
        if isinstance(faces, int) and 0 < (count := len(landmarker.detect(photo))) <= faces:
            raise NoFaceError(f"face {faces} was asked for, but only {count} found; the largest is 0.") from error
        raise
    window = face_window(photo, [filled.face for filled in removal.faces])
    names = ["Face" if len(removal.faces) == 1 else "Faces", "Whole photo"]
    height, width = photo.shape[:2]
    close = [window] if window[2] * window[3] < 0.7 * width * height else []
    parts = [*close, (0, 0, width, height)]
    views = [_view(name, photo, removal, part) for name, part in zip(names[-len(parts) :], parts, strict=True)]
    return Answer(summary(removal), views, png(removal.photo), window=window, **_canvas(photo, removal.hole, window))


def summary(removal: Removal) -> str:
    """What was done, in a few sentences."""
    guided = float(np.mean(removal.origin[removal.hole] == Origin.GUIDED))
    people = "1 face" if len(removal.faces) == 1 else f"{len(removal.faces)} faces"
    text = f"Done in {sum(removal.seconds.values()):.1f} s: {people}. Of the filled pixels "
    text += (
        f"{guided:.0%} are guided by the second photo, {1 - guided:.0%} invented." if guided else "all are invented."
    )
    if any(filled.face_mask is not None and filled.face_mask.source == "polygon" for filled in removal.faces):
        text += " The outline of the face mask was not clear: look at the hole below, and correct it."
    return text


def face_window(photo: np.ndarray, faces: list[Face]) -> tuple[int, int, int, int]:
    """Left, top, width and height of the part of a photo that shows the faces and what is around them."""
    corners = []
    for face in faces:
        reach = 1.3 * face_height(face.landmarks)
        corners += [face.landmarks.mean(0) - reach, face.landmarks.mean(0) + reach]
    height, width = photo.shape[:2]
    left, top = np.clip(np.min(corners, 0), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(np.max(corners, 0)), (left + 1, top + 1), (width, height)).astype(int)
    return int(left), int(top), int(right - left), int(bottom - top)


def drawn_hole(data: bytes, window: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """The hole that was painted on a window, as bool (H, W) of the photo's size: every pixel that it touches.

    Raises:
        ValueError: a window that does not lie in the photo, or data that are no picture.
    """
    left, top, width, height = window
    if min(left, top) < 0 or min(width, height) < 1 or left + width > size[1] or top + height > size[0]:
        raise ValueError("the hole belongs to another photo. Fill that one first, then correct its hole.")
    drawn = read_photo(io.BytesIO(data), max_pixels=4 * SIDE * SIDE)[..., 0]
    hole = np.zeros(size, bool)
    hole[top : top + height, left : left + width] = (
        cv2.resize(drawn, (width, height), interpolation=cv2.INTER_LINEAR) > 127
    )
    return hole


def png(photo: np.ndarray) -> bytes:
    """A photo as PNG, without anything that a camera wrote beside the pixels."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _view(name: str, photo: np.ndarray, removal: Removal, part: tuple[int, int, int, int]) -> View:
    left, top, width, height = part
    where = np.s_[top : top + height, left : left + width]
    before, after = _fit(photo[where], SIDE), _fit(removal.photo[where], SIDE)
    origin = cv2.resize(removal.origin[where], before.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    colours = np.repeat((before.mean(-1, keepdims=True) * 0.5 + 90).astype(np.uint8), 3, -1)
    for value in (Origin.GUIDED, Origin.INVENTED):
        colours[origin == value] = colours[origin == value] * 0.4 + np.array(ORIGIN_COLOURS[value]) * 0.6
    return View(name, *(_jpeg(picture) for picture in (before, after, colours)))


def _canvas(photo: np.ndarray, hole: np.ndarray, window: tuple[int, int, int, int]) -> dict[str, bytes]:
    left, top, width, height = window
    where = np.s_[top : top + height, left : left + width]
    canvas = _fit(photo[where], SIDE)
    # Every pixel in which any pixel of the hole lies: what is filled again reaches as far as before, and no less.
    share = cv2.resize(hole[where].astype(np.float32), canvas.shape[1::-1], interpolation=cv2.INTER_AREA)
    shown = np.repeat((share > 0)[..., None].astype(np.uint8) * 255, 3, -1)
    return {"canvas": _jpeg(canvas), "hole": png(shown)}


def _fit(photo: np.ndarray, side: int) -> np.ndarray:
    scale = min(1.0, side / max(photo.shape[:2]))
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    return cv2.resize(photo, size, interpolation=cv2.INTER_AREA) if scale < 1 else photo


def _jpeg(photo: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(photo)).save(file, format="JPEG", quality=92)
    return file.getvalue()
