"""Which faces of a photo are worked on, and what is filled on each: found face masks, or a hole of the user's own."""

import math
from typing import Literal, NamedTuple

import cv2
import numpy as np

from gatedinpaint.faces import (
    Face,
    FaceMask,
    Landmarker,
    MaskNotFoundError,
    NoFaceError,
    face_height,
    find_face_mask,
    scale_to_hold,
    uncover_landmarks,
)

MARGIN = 0.016
"""How far the hole reaches beyond the found face mask, in face heights: its blurred edge must go as well."""
LARGEST_CROP = 1.5
"""Side of the largest crop for a hole of the user's own, as a multiple of FFHQ's."""


class FaceHole(NamedTuple):
    """What is filled on one face."""

    face: Face
    face_mask: FaceMask | None
    """What was found; None where the hole is the user's own."""
    hole: np.ndarray
    """bool (H, W) of the photo's size."""
    landmarks: np.ndarray
    """(478, 2), where they are on the bare face."""


def faces_of(landmarker: Landmarker, photo: np.ndarray, name: str) -> list[Face]:
    """The faces of a photo, the largest first.

    Raises:
        NoFaceError: there is none; the message calls the photo by its ``name``.
    """
    faces = landmarker.detect(photo)
    if not faces:
        raise NoFaceError(
            f"no face found in the {name}. It must be visible from the front or half the side, and not tiny."
        )
    return faces


def chosen(faces: list[Face], which: Literal["masked", "all"] | int) -> list[Face]:
    """All faces, or that of a number from 0 on."""
    if which in ("masked", "all"):
        return faces
    if isinstance(which, bool) or not isinstance(which, int | np.integer) or which < 0:
        raise ValueError(f'faces must be "masked", "all" or a number from 0 on; got {which!r}.')
    if which >= len(faces):
        raise NoFaceError(
            f"face number {which} was asked for, counted from 0; found in the photo: {len(faces)}. "
            "Choose another, or let the landmarker find more: --max-faces, --small-faces of remove."
        )
    return [faces[which]]


def found_holes(photo: np.ndarray, faces: list[Face], *, required: bool) -> list[FaceHole]:
    """The face masks that faces wear, each with a margin; bare faces are left out.

    Raises:
        MaskNotFoundError: nobody wears one, where that is ``required``.
    """
    masked = []
    refusal = ""
    for face in faces:
        try:
            face_mask = find_face_mask(photo, face.landmarks)
        except MaskNotFoundError as error:
            refusal = refusal or str(error)
        else:
            hole = _grown(face_mask.hole, MARGIN * face_height(face.landmarks))
            masked.append(FaceHole(face, face_mask, hole, uncover_landmarks(face.landmarks)))
    if required and not masked and refusal:
        raise MaskNotFoundError(refusal)
    return masked


def given_holes(photo: np.ndarray, hole: np.ndarray, faces: list[Face]) -> list[FaceHole]:
    """A hole of the user's own, as it is: every connected part goes to the face whose middle is nearest.

    Args:
        photo: uint8 RGB (H, W, 3).
        hole: bool (H, W) of the photo's size.
        faces: at least one.

    Raises:
        ValueError: an empty hole, or one that reaches further from its face than a crop does.
    """
    if not hole.any():
        raise ValueError("the hole is empty: nothing to fill. Mark at least one pixel.")
    count, parts, _, centres = cv2.connectedComponentsWithStats(hole.astype(np.uint8))
    middles = np.array([face.landmarks.mean(0) for face in faces])
    heights = np.array([face_height(face.landmarks) for face in faces])
    owners = {
        part: int(np.argmin(np.linalg.norm(middles - centres[part], axis=1) / heights)) for part in range(1, count)
    }
    given = []
    for number, face in enumerate(faces):
        own = np.isin(parts, [part for part, owner in owners.items() if owner == number])
        if not own.any():
            continue
        if scale_to_hold(face.landmarks, own, margin=0, largest=math.inf) > LARGEST_CROP:
            raise ValueError(
                "the hole reaches too far from the face that is nearest: only what lies in a square of "
                f"{LARGEST_CROP} times the usual crop around a face can be filled. Mark less."
            )
        given.append(FaceHole(face, None, own, _bare_landmarks(photo, face)))
    return given


def _bare_landmarks(photo: np.ndarray, face: Face) -> np.ndarray:
    """The landmarks, uncovered if the face wears a face mask."""
    try:
        find_face_mask(photo, face.landmarks)
    except MaskNotFoundError:
        return face.landmarks
    return uncover_landmarks(face.landmarks)


def _grown(hole: np.ndarray, radius: float) -> np.ndarray:
    grown, margin = np.zeros_like(hole), math.ceil(radius)
    x, y, width, height = cv2.boundingRect(hole.astype(np.uint8))
    around = np.s_[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin]
    grown[around] = cv2.distanceTransform(np.uint8(~hole[around]), cv2.DIST_L2, cv2.DIST_MASK_5) <= radius
    return grown
