"""Whose face of a reference serves, and that no face mask covers it."""

import numpy as np

from examples.mask_removal.photo_holes import faces_of
from gatedinpaint.faces import Landmarker, MaskNotFoundError, find_face_mask, mask_polygon, polygon_hole
from gatedinpaint.image import check_photo

MASKED = 0.80
"""Clarity from which on a reference counts as masked: more than :func:`find_face_mask` asks for, since a beard or a
hand at the mouth must not cost a good reference. Measured by ``python -m benchmarks.faces_masked_reference``."""


def bare_landmarks(reference: np.ndarray, landmarker: Landmarker) -> np.ndarray:
    """The landmarks (478, 2) of the largest face of a reference, uint8 RGB (H, W, 3).

    Raises:
        NoFaceError: there is none.
        ValueError: it wears a face mask.
    """
    reference = check_photo(reference, name="reference")
    landmarks = faces_of(landmarker, reference, "reference")[0].landmarks
    covered = masked_share(reference, landmarks)
    if covered is not None:
        raise ValueError(
            f"reference must show the face without a face mask; got one that covers {covered:.0%} of the lower face. "
            "Pass another photo of the person, or none."
        )
    return landmarks


def masked_share(photo: np.ndarray, landmarks: np.ndarray) -> float | None:
    """Which share of the lower face a face mask covers; None where none stands out clearly."""
    try:
        found = find_face_mask(photo, landmarks)
    except MaskNotFoundError:
        return None
    if found.clarity < MASKED:
        return None
    lower_face = polygon_hole(mask_polygon(landmarks), (photo.shape[0], photo.shape[1]))
    return float(found.hole[lower_face].mean())
