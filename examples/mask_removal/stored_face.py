"""One face of a training set, as ``prepare.py`` stored it."""

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from examples.mask_removal.shards import DamagedSampleError, sample_files
from gatedinpaint import read_photo
from gatedinpaint.faces import uncover_landmarks


class Face(NamedTuple):
    """What a set holds of a face."""

    photo: np.ndarray
    landmarks: np.ndarray
    found: np.ndarray | None
    """The hole that the segmenter found for a face mask drawn on it, bool (H, W), where it did."""
    believed: np.ndarray
    """The landmarks as they are believed to be under that face mask; the true ones where the set does not know."""


def load_face(root: Path | str, line: dict[str, Any]) -> Face:
    """Read the face that a line of the index names.

    Raises:
        DamagedSampleError: it cannot be read, or is not what a set holds.
    """
    files = sample_files(root, line)
    try:
        photo = read_photo(io.BytesIO(files["png"]))
        landmarks = np.load(io.BytesIO(files["npy"]))
        found = read_photo(io.BytesIO(files["hole.png"]))[..., 0] > 127 if "hole.png" in files else None
        covered = np.load(io.BytesIO(files["hole.npy"])) if "hole.npy" in files else None
        for points in (landmarks,) if covered is None else (landmarks, covered):
            if points.shape != (478, 2):
                raise ValueError(f"landmarks must be (478, 2); got {points.shape}.")
            if not np.abs(points).max() < 10 * max(photo.shape):  # also where one is NaN
                raise ValueError("landmarks far outside the photo.")
        believed = landmarks if covered is None else uncover_landmarks(covered)
    except (ValueError, OSError, EOFError) as error:
        raise DamagedSampleError(f"{root}: damaged sample: {line['id']}: {error}") from error
    return Face(photo, landmarks, found, believed)
