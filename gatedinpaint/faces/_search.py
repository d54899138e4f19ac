"""Find faces that a glance at the whole photo misses: small ones, turned ones, half covered ones.

A detector of 128×128 pixels sees nothing narrower than a tenth of what it is shown, so it is shown overlapping windows
of the photo as well, coarse ones first. Windows also make it see faces in clouds and coins. What tells them apart: a
mirrored view of a true face gives the same landmarks mirrored, while those of a texture land elsewhere.

The detector alone takes a tenth of the time that it takes with the landmarks of a face that it finds. So in windows it
is asked where faces may be, and only a place where none was found before is looked at from close by.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from gatedinpaint.faces._pyramid import Pyramid, View, Window
from gatedinpaint.faces.face import Face
from gatedinpaint.faces.regions import MIRROR, face_height
from gatedinpaint.image import Photo


class Box(NamedTuple):
    """Where a face may be: the middle of its landmarks, and their extent along the longer side, in pixels."""

    x: float
    y: float
    extent: float


class Detector(Protocol):
    """What sees faces in a photo that is not too large for it."""

    def boxes(self, photo: Photo) -> list[Box]:
        """A glance: where faces may be."""
        ...

    def faces(self, photo: Photo) -> list[Face]:
        """A look: the faces that are plain to see."""
        ...


# Sides of the windows as shares of the photo's longer side; neighbours overlap by a third. A face of 0.12 of a window
# is found, so each level begins where the one before ends, and the last reaches down to 0.02 of the photo's width.
LEVELS = (1.0, 0.75, 0.5, 0.3, 0.16)
_OVERLAP = 1 / 3
_MIN_WINDOW, _MIN_FACE = 96, 12
_VISIBLE = 0.1  # of a window: any wider face has been seen in it
# A face smaller than this share of the longer side gains accuracy from a second look at a crop around it.
_PLAIN = 0.25
# Longest side in pixels of what is shown: for a glance four times what the detector takes, for a look so many that a
# face of the smallest plain size has all the pixels that landmarks are found from, which is 256 with its surroundings.
_GLANCE, _LOOK = 512, 1536
# Two views of a face may differ by this mean distance, in face heights: more than those of nearly all faces with a face
# mask, less than those of textures.
_AGREEMENT = 0.06


def find_faces(photo: Photo, detector: Detector, max_faces: int, *, least: float = 0.0) -> list[Face]:
    """The ``max_faces`` largest faces, the largest first; looks closer only while fewer are found, and what is still to
    be found may be ``least`` times as large as the largest."""
    pyramid = Pyramid(photo)
    side = max(pyramid.size)
    found: list[Face] = []
    for candidate in _faces(detector, pyramid.view(Window(0, 0, *pyramid.size), _LOOK)):
        plain = _extent(candidate) >= _PLAIN * side
        _keep(found, candidate if plain else _confirmed(pyramid, _box(candidate), detector, candidate))
    largest_unseen = math.inf  # the mirrored view of the whole photo may show any
    for level in levels(pyramid.size):
        enough = least * max((_extent(face) for face in found), default=0.0) > largest_unseen
        if len(found) >= max_faces or enough or level * side < _MIN_WINDOW:
            break
        largest_unseen = _VISIBLE * level * side
        for box, view in _sightings(pyramid, detector, level):
            if box.extent >= _MIN_FACE and not any(_same(box, _box(face)) for face in found):
                _keep(found, _looked_at(pyramid, box, view, detector))
    return sorted(found, key=_area, reverse=True)[:max_faces]


def levels(size: tuple[int, int]) -> list[float]:
    """:data:`LEVELS` for a photo of ``size`` (height, width): lower ones if it is upright, as its width is shorter.

    The last is 0.16 of the width, or of half the height where that is more: a tall strip would take endless looks.
    """
    height, width = size
    share = max(width, height / 2) / max(size)
    return [level ** (1 + math.log(share) / math.log(LEVELS[-1])) for level in LEVELS]


def windows(size: tuple[int, int], level: float) -> list[Window]:
    """Overlapping windows that cover a photo of ``size`` (height, width) evenly, three or more where one is short."""
    side = round(level * max(size))
    height, width = (min(side, length) for length in size)

    def starts(length: int, side: int) -> list[int]:
        steps = max(2, math.ceil((length - side) / ((1 - _OVERLAP) * side) - 1e-9)) if length > side else 0
        return [round(step * (length - side) / max(steps, 1)) for step in range(steps + 1)]

    return [Window(top, left, height, width) for top in starts(size[0], height) for left in starts(size[1], width)]


def _sightings(pyramid: Pyramid, detector: Detector, level: float) -> Iterator[tuple[Box, View]]:
    """Where a face may be, and the view in which a glance told so."""
    for window in windows(pyramid.size, level):
        view = pyramid.view(window, _GLANCE)
        # The largest windows are also shown mirrored: a second chance for a face that the first just failed.
        for shown in (view, view.mirror_image()) if level > 0.5 else (view,):
            for box in detector.boxes(shown.photo):
                ((x, y),) = shown.to_photo(np.array([[box.x, box.y]]))
                yield Box(float(x), float(y), shown.scale * box.extent), shown


def _looked_at(pyramid: Pyramid, box: Box, view: View, detector: Detector) -> Face | None:
    """The face in a box that a glance at the view gave; often the landmarks say that there is none."""
    confirmed = _confirmed(pyramid, box, detector, scales=(2.0,))
    if confirmed is None:
        for candidate in _faces(detector, view):
            if _same(_box(candidate), box):
                return _confirmed(pyramid, _box(candidate), detector, candidate)
    return confirmed


def _confirmed(
    pyramid: Pyramid,
    box: Box,
    detector: Detector,
    candidate: Face | None = None,
    *,
    scales: tuple[float, ...] = (2.0, 2.5, 3.0),
) -> Face | None:
    """The face as seen from close by, if a plain and a mirrored view of it agree; otherwise None."""
    plain = [candidate] if candidate else []
    for scale in scales:
        side = math.ceil(scale * box.extent)
        view = pyramid.view(Window(math.floor(box.y - side / 2), math.floor(box.x - side / 2), side, side), _LOOK)
        plain = [*(face for face in _faces(detector, view) if _same(_box(face), box)), *plain]
        for mirrored in _faces(detector, view.mirror_image()) if plain else ():
            for face in plain:
                if _agree(mirrored, face):
                    return mirrored if face is candidate else face
    return None


def _faces(detector: Detector, view: View) -> list[Face]:
    """The faces that the view shows, in pixels of the photo."""
    return [_in_photo(face, view) for face in detector.faces(view.photo)]


def _in_photo(face: Face, view: View) -> Face:
    points = view.to_photo(face.landmarks).astype(np.float32)
    depth = (view.scale * face.depth).astype(np.float32)
    if view.mirrored:
        return Face(points[MIRROR], depth[MIRROR], -face.yaw, face.pitch, -face.roll)
    return dataclasses.replace(face, landmarks=points, depth=depth)


def _keep(found: list[Face], face: Face | None) -> None:
    if face is not None and not any(_same(_box(face), _box(other)) for other in found):
        found.append(face)


def _box(face: Face) -> Box:
    x, y = (face.landmarks.min(0) + face.landmarks.max(0)) / 2
    return Box(float(x), float(y), _extent(face))


def _same(box: Box, other: Box) -> bool:
    """Whether two findings are of one face: their centres lie within half of the larger one's extent."""
    return math.hypot(box.x - other.x, box.y - other.y) < 0.5 * max(box.extent, other.extent)


def _agree(face: Face, other: Face) -> bool:
    distance = float(np.linalg.norm(face.landmarks - other.landmarks, axis=1).mean())
    return distance < _AGREEMENT * face_height(other.landmarks)


def _extent(face: Face) -> float:
    return float(np.ptp(face.landmarks, axis=0).max())


def _area(face: Face) -> float:
    return float(np.ptp(face.landmarks, axis=0).prod())
