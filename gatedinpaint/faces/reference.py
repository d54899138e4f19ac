"""Carry the lower face of a reference photo onto another photo of the same person."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._checks import check_hole, check_size
from gatedinpaint.faces._reference_map import face_region, fit_map
from gatedinpaint.faces._relight import relight
from gatedinpaint.faces.regions import EYES, check_landmarks, face_height, mask_polygon, polygon_hole
from gatedinpaint.image import Hole, Photo, check_photo, image_to_photo, photo_to_image
from gatedinpaint.warp import warp_image


@dataclass(frozen=True, eq=False)
class WarpedReference:
    """What :func:`warp_reference` returns. It unpacks as two values: ``photo, known = warp_reference(...)``.

    Example:
        >>> nothing = np.zeros((2, 2))
        >>> warped = WarpedReference(nothing.astype(np.uint8), nothing > 0, nothing, method="spline", folded=False)
        >>> photo, known = warped
        >>> bool(known.any())
        False
    """

    photo: Photo
    """The warped reference, uint8 RGB (H, W, 3); outside ``known`` it means nothing, and far from the face it is 0."""
    known: Hole
    """bool (H, W): True where it shows a pixel of the reference's face or of its close surroundings."""
    confidence: NDArray[np.float32]
    """(H, W) in [0, 1], 0 where not known. It falls with the distance from the control points in use, and where the
    reference shows the place foreshortened, so that its pixels are stretched."""
    method: Literal["spline", "similarity"]
    """``"similarity"`` (rotation, scale and shift only) where no spline was free of folds."""
    folded: bool
    """Whether the spline folded over at the regularization asked for, and gave way to a stiffer map."""

    def __iter__(self) -> Iterator[NDArray[Any]]:
        yield self.photo
        yield self.known


def warp_reference(
    reference: Photo,
    reference_landmarks: NDArray[np.floating],
    landmarks: NDArray[np.floating],
    size: tuple[int, int],
    *,
    target: Photo | None = None,
    hole: Hole | None = None,
    regularization: float = 1e-2,
) -> WarpedReference:
    """Warp a reference photo so that its lower face lies where the lower face of another photo, the target, is.

    A thin-plate spline maps the landmarks :data:`TPS_POINTS` of the target to those of the reference; every pixel of
    the result is looked up in the reference there. Points of the jaw that either head's turn hides are left out. Where
    the map would fold over within the face, a stiffer one takes its place, at last a similarity transform. A reference
    of a larger face is shrunk first, so that it does not alias.

    With ``target`` the result gets its colours and its light: contrast and offset of each channel and a change of light
    across the face, fitted robustly to the skin that is in sight on both photos.

    Args:
        reference: uint8 RGB (h, w, 3), the second photo of the person.
        reference_landmarks: (478, 2) points (x, y) in pixels of ``reference``.
        landmarks: (478, 2) points (x, y) in pixels of the target.
        size: (height, width) of the target, and of the result.
        target: uint8 RGB (H, W, 3), the target itself; without it colours stay as they are.
        hole: bool (H, W), what to leave out of ``target`` when colours are compared, such as a worn face mask; by
            default all that :func:`mask_polygon` surrounds.
        regularization: of the spline, in squared heights of the face, whatever the photo's size; 0 meets every landmark
            exactly, larger values bend less.

    Returns:
        A :class:`WarpedReference`, which unpacks as ``photo, known``. The map never folds over where ``known`` is True.

    Raises:
        TypeError: a reference or target that is not uint8, a hole that is not bool.
        ValueError: a reference that is not (h, w, 3), landmarks that are not finite (478, 2) points, a size that is not
            (H, W) or is under 2, a face outside of it, a target or hole that is not of that size, a regularization
            under 0.
        DegenerateControlPointsError: landmarks that no rotation, scale and shift bring near each other, as when only
            one photo was mirrored.
        ImportError: OpenCV is not installed.

    **Departs from the paper's** released code, which used one of two lists of 17 and 28 points, all of them whether in
    sight or not, without regularization, and left colours alone: the 30 points of the paper are taken to be the 28 plus
    landmarks 0 and 17.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> photo = astronaut()
        >>> landmarks = FaceLandmarker().detect(photo)[0].landmarks
        >>> photo, known = warp_reference(photo, landmarks, landmarks + [0, -100], (512, 512))  # upwards
        >>> x, y = landmarks[4].astype(int)  # the tip of the nose
        >>> bool(known[y - 100, x]), bool(known[y + 300, x])
        (True, False)
    """
    cv2 = require("cv2", "faces")
    reference = check_photo(reference, name="reference")
    ours, theirs = check_landmarks(landmarks), check_landmarks(reference_landmarks)
    size = check_size(size, least=2)
    if not 0 <= regularization < math.inf:
        raise ValueError(f"regularization must be 0 or more; got {regularization}.")
    target, hole = _check_target(target, hole, size)

    reference, theirs = _around_face(reference, theirs)
    shrink = face_height(ours) / face_height(theirs)
    if shrink < 1:
        height, width = (max(1, round(side * shrink)) for side in reference.shape[:2])
        scale = np.array([width / reference.shape[1], height / reference.shape[0]])
        reference = cv2.resize(reference, (width, height), interpolation=cv2.INTER_AREA)
        theirs = (theirs + 0.5) * scale - 0.5

    region = face_region(ours, size)
    if not region.any():
        raise ValueError(f"landmarks must lie in the photo of the given size {size}; got a face outside of it.")
    # Only the window around the face is computed: a photo may hold far more pixels.
    rows, columns = (slice(int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(region))
    window = rows, columns
    region = region[window]
    ours = ours - [columns.start, rows.start]
    face_map = fit_map(ours, theirs, region.shape, regularization)
    # The reference's own face region goes through the map as a fourth channel.
    there = torch.from_numpy(face_region(theirs, reference.shape[:2])).float()[None, None]
    moved, inside = warp_image(torch.cat([photo_to_image(reference), there], 1), face_map.spline, size=region.shape)
    warped = image_to_photo(moved[:, :3])
    seen: Hole = region & ((inside[0, 0] * moved[0, 3]).numpy() > 0.5)
    if target is not None:
        hole = polygon_hole(mask_polygon(ours), region.shape) if hole is None else hole[window]
        warped = relight(warped, target[window], seen & _bare_face(ours, region.shape) & ~hole, ours)
    confidence = cv2.resize(face_map.confidence, seen.shape[::-1], interpolation=cv2.INTER_LINEAR) * seen

    photo, known, trust = np.zeros((*size, 3), np.uint8), np.zeros(size, bool), np.zeros(size, np.float32)
    photo[window], known[window], trust[window] = warped, seen, confidence
    return WarpedReference(photo, known, trust, face_map.method, face_map.folded)


def _around_face(reference: Photo, landmarks: NDArray[np.float64]) -> tuple[Photo, NDArray[np.float64]]:
    """Cut out the face with a face's height around it, and move its landmarks along: no more is ever looked at."""
    margin = face_height(landmarks)
    left, top = np.maximum(0, np.floor(landmarks.min(0) - margin)).astype(int)
    right, bottom = np.maximum(0, np.ceil(landmarks.max(0) + margin)).astype(int) + 1
    cut = reference[top:bottom, left:right]
    if not cut.size:  # a face outside of the photo
        return reference, landmarks
    return cut, landmarks - [left, top]


def _check_target(target: Photo | None, hole: Hole | None, size: tuple[int, int]) -> tuple[Photo | None, Hole | None]:
    if target is None and hole is not None:
        raise ValueError("hole was given without target. Pass both: hole says which pixels of target are no skin.")
    if target is not None:
        target = check_photo(target, name="target")
        if target.shape[:2] != size:
            raise ValueError(f"target must be of the given size {size}; got {target.shape[:2]}.")
    if hole is not None:
        check_hole(hole, size, matching="the target")
    return target, hole


def _bare_face(landmarks: NDArray[np.float64], size: tuple[int, int]) -> Hole:
    """The face's oval without the eyes: skin, but for hair and beards."""
    cv2 = require("cv2", "faces")
    bare = polygon_hole(cv2.convexHull(landmarks.astype(np.float32))[:, 0], size)
    for eye in EYES:
        bare &= ~polygon_hole(landmarks[list(eye)], size)
    return bare
