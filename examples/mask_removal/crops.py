"""One photo → the files of its sample: the aligned crop, its landmarks, and a hole as the segmenter finds it."""

import functools
import io
import zlib
from typing import Any, NamedTuple

import cv2
import numpy as np

from examples.mask_removal.photo_sources import UNREAD, SourcePhoto
from gatedinpaint import PhotoError, read_photo
from gatedinpaint.faces import MASK_STYLES, FaceLandmarker, MaskNotFoundError, align, draw_face_mask, find_face_mask


class Prepared(NamedTuple):
    """What became of a photo."""

    line: dict[str, Any]
    """Its line of the index: id, source, identity, head pose; or why it was skipped."""
    files: dict[str, bytes]
    """Its sample by ending, as :mod:`examples.mask_removal.shards` stores it; empty where it was skipped."""


@functools.cache
def _landmarker() -> FaceLandmarker:
    """One in each worker: MediaPipe does not survive a fork."""
    landmarker = FaceLandmarker()
    landmarker.detect(np.zeros((64, 64, 3), np.uint8))  # a bad model fails here, not as a fault of every photo
    return landmarker


def prepare_photo(item: SourcePhoto, *, size: int, aligned: bool, found_holes: bool) -> Prepared:
    """Make the sample of one photo."""
    line: dict[str, Any] = {"id": item.id, "source": item.source}
    if item.identity:
        line["identity"] = item.identity
    landmarker = _landmarker()
    try:
        content = item.content if isinstance(item.content, bytes) else item.content.read_bytes()
        photo = read_photo(io.BytesIO(content))
        faces = landmarker.detect(photo)
        if not faces:
            return Prepared(line | {"skipped": "no face found"}, {})
        face = faces[0]
        if not aligned:
            crop_of_face = align(photo, face.landmarks, size=size)
            crop, landmarks = crop_of_face.photo, crop_of_face.landmarks
        elif photo.shape[0] == photo.shape[1]:
            crop, landmarks = resize_square(photo, face.landmarks, size)
        else:
            return Prepared(line | {"skipped": "not square, so not an aligned crop"}, {})
        covered, found = (
            find_drawn_mask(crop, landmarks, seed=zlib.crc32(item.id.encode())) if found_holes else (None, None)
        )
    except OSError as error:
        return Prepared(line | {"skipped": f"{UNREAD}{error.strerror}"}, {})
    except (ValueError, RuntimeError) as error:  # PhotoError is a ValueError; MediaPipe raises RuntimeError
        lacking = isinstance(error, PhotoError) and isinstance(error.__cause__, ImportError)  # an extra, for HEIC
        return Prepared(line | {"skipped": f"{UNREAD}{error}" if lacking else str(error)}, {})
    line |= {"yaw": round(face.yaw, 1), "pitch": round(face.pitch, 1), "roll": round(face.roll, 1)}
    files = {"png": _png(crop[..., ::-1]), "npy": _npy(landmarks.astype(np.float32))}
    if covered is not None:
        line["covered_landmarks"] = True
        files["hole.npy"] = _npy(covered.astype(np.float32))
    if found is not None:
        line["found_hole"] = True
        files["hole.png"] = _png(found.astype(np.uint8) * 255)
    return Prepared(line, files)


def find_drawn_mask(
    photo: np.ndarray, landmarks: np.ndarray, *, seed: int
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Draw some face mask on the photo and find it as the pipeline would, from nothing but the drawn-on photo.

    Both results have the errors that they have in use: of the landmarks, which see a covered face, and of the outline.

    Returns:
        The landmarks, (478, 2), and the hole, bool (H, W); None for those that were not found or not trusted.
    """
    rng = np.random.default_rng(seed)
    style = MASK_STYLES[rng.integers(len(MASK_STYLES))]
    masked, _ = draw_face_mask(photo, landmarks, style=style, seed=seed, ear_loops=rng.random() < 0.5)
    faces = _landmarker().detect(masked)
    if not faces:
        return None, None
    covered = faces[0].landmarks
    try:
        found = find_face_mask(masked, covered)
    except MaskNotFoundError:
        return covered, None
    return covered, found.hole if found.source == "segmentation" else None


def resize_square(photo: np.ndarray, landmarks: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Resize a square crop and move its landmarks along; pixel centres lie at integers."""
    scale = size / photo.shape[0]
    if scale == 1:
        return photo, landmarks
    resized = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return resized, (landmarks + 0.5) * scale - 0.5


def _png(picture: np.ndarray) -> bytes:
    """Of BGR or grey."""
    return cv2.imencode(".png", np.ascontiguousarray(picture), [cv2.IMWRITE_PNG_COMPRESSION, 6])[1].tobytes()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
