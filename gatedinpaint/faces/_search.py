"""Find faces that a glance at the whole photo misses: small ones, turned ones, half covered ones.

A detector of 128×128 pixels sees nothing narrower than a tenth of what it is shown, so it is shown overlapping windows
of the photo as well, coarse ones first. Windows also make it see faces in clouds and coins. What tells them apart: a
mirrored view of a true face gives the same landmarks mirrored, while those of a texture land elsewhere.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gatedinpaint.faces.face import Face
from gatedinpaint.faces.regions import MIRROR, face_height
from gatedinpaint.image import Photo

Look = Callable[[Photo], list[Face]]
"""One glance at a photo: the faces that are plain to see, in any order."""

# Sides of the windows as shares of the photo's longer side; neighbours overlap by a third. A face of 0.12 of a window
# is found, so each level begins where the one before ends, and the last reaches down to 0.02 of the photo's width.
LEVELS = (1.0, 0.75, 0.5, 0.3, 0.16)
_OVERLAP = 1 / 3
_MIN_WINDOW, _MIN_FACE = 96, 12
_VISIBLE = 0.1  # of a window: any wider face has been seen in it
# A face smaller than this share of the longer side gains accuracy from a second look at a crop around it.
_PLAIN = 0.25
# Two views of a face may differ by this mean distance, in face heights: more than those of nearly all faces with a face
# mask, less than those of textures.
_AGREEMENT = 0.06


def find_faces(photo: Photo, look: Look, max_faces: int, *, least: float = 0.0) -> list[Face]:
    """The ``max_faces`` largest faces, the largest first; looks closer only while fewer are found, and what is still to
    be found may be ``least`` times as large as the largest."""
    side = max(photo.shape[:2])
    plain = _PLAIN * side
    found: list[Face] = []
    for candidate in look(photo):
        _keep(found, candidate if _extent(candidate) >= plain else _confirmed(photo, candidate, look))
    largest_unseen = math.inf  # the mirrored view of the whole photo may show any
    for level in levels((photo.shape[0], photo.shape[1])):
        enough = least * max((_extent(face) for face in found), default=0.0) > largest_unseen
        if len(found) >= max_faces or enough or level * side < _MIN_WINDOW:
            break
        largest_unseen = _VISIBLE * level * side
        for candidate in _candidates(photo, look, level):
            if _extent(candidate) >= _MIN_FACE and not any(_same(candidate, other) for other in found):
                _keep(found, _confirmed(photo, candidate, look))
    return sorted(found, key=_area, reverse=True)[:max_faces]


def levels(size: tuple[int, int]) -> list[float]:
    """:data:`LEVELS` for a photo of ``size`` (height, width): lower ones if it is upright, as its width is shorter.

    The last is 0.16 of the width, or of half the height where that is more: a tall strip would take endless looks.
    """
    height, width = size
    share = max(width, height / 2) / max(size)
    return [level ** (1 + math.log(share) / math.log(LEVELS[-1])) for level in LEVELS]


class Window(NamedTuple):
    top: int
    left: int
    height: int
    width: int


def windows(size: tuple[int, int], level: float) -> list[Window]:
    """Overlapping windows that cover a photo of ``size`` (height, width) evenly, three or more where one is short."""
    side = round(level * max(size))
    height, width = (min(side, length) for length in size)

    def starts(length: int, side: int) -> list[int]:
        steps = max(2, math.ceil((length - side) / ((1 - _OVERLAP) * side) - 1e-9)) if length > side else 0
        return [round(step * (length - side) / max(steps, 1)) for step in range(steps + 1)]

    return [Window(top, left, height, width) for top in starts(size[0], height) for left in starts(size[1], width)]


def _candidates(photo: Photo, look: Look, level: float) -> Iterator[Face]:
    # The largest windows are also shown mirrored: a second chance for a face that the first just failed.
    views = [look, lambda part: _mirrored(look, part)] if level > 0.5 else [look]
    for top, left, height, width in windows((photo.shape[0], photo.shape[1]), level):
        for view in views[1:] if level == 1 else views:
            for face in view(photo[top : top + height, left : left + width]):
                yield _moved(face, left, top)


def _confirmed(photo: Photo, candidate: Face, look: Look) -> Face | None:
    """The face as seen from close by, if a plain and a mirrored view of it agree; otherwise None."""
    plain = [candidate]
    for scale in (2.0, 2.5, 3.0):
        crop, left, top = _crop(photo, candidate, scale)
        closer = [_moved(face, left, top) for face in look(crop)]
        plain = [*(face for face in closer if _same(face, candidate)), *plain]
        for mirrored in _mirrored(look, crop):
            mirrored = _moved(mirrored, left, top)
            for face in plain:
                if _agree(mirrored, face):
                    return mirrored if face is candidate else face
    return None


def _crop(photo: Photo, face: Face, scale: float) -> tuple[Photo, int, int]:
    """A square around the face, black beyond the photo's border, and where its left and top are."""
    side = math.ceil(scale * _extent(face))
    left, top = np.floor(_centre(face) - side / 2).astype(int).tolist()
    crop = np.zeros((side, side, 3), np.uint8)
    inside = photo[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    y, x = max(0, -top), max(0, -left)
    crop[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return crop, left, top


def _mirrored(look: Look, photo: Photo) -> list[Face]:
    def back(face: Face) -> Face:
        points = face.landmarks[MIRROR] * np.array([-1, 1], np.float32) + np.array([photo.shape[1] - 1, 0], np.float32)
        return Face(points, face.depth[MIRROR], -face.yaw, face.pitch, -face.roll)

    return [back(face) for face in look(photo[:, ::-1])]


def _keep(found: list[Face], face: Face | None) -> None:
    if face is not None and not any(_same(face, other) for other in found):
        found.append(face)


def _moved(face: Face, x: int, y: int) -> Face:
    return dataclasses.replace(face, landmarks=face.landmarks + np.array([x, y], np.float32))


def _same(face: Face, other: Face) -> bool:
    """Whether two findings are of one face: their centres lie within half of the larger one's extent."""
    return float(np.linalg.norm(_centre(face) - _centre(other))) < 0.5 * max(_extent(face), _extent(other))


def _agree(face: Face, other: Face) -> bool:
    distance = float(np.linalg.norm(face.landmarks - other.landmarks, axis=1).mean())
    return distance < _AGREEMENT * face_height(other.landmarks)


def _centre(face: Face) -> np.ndarray:
    centre: np.ndarray = (face.landmarks.min(0) + face.landmarks.max(0)) / 2
    return centre


def _extent(face: Face) -> float:
    return float(np.ptp(face.landmarks, axis=0).max())


def _area(face: Face) -> float:
    return float(np.ptp(face.landmarks, axis=0).prod())
