"""What a face in a photo is here, and what anything that finds faces must offer."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.image import Photo


class NoFaceError(ValueError):
    """A photo in which a face is needed shows none."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face found in a photo.

    The angles, in degrees, are those of the head against the line from the camera to it, so they do not depend on where
    in the photo it is; a mirrored photo negates yaw and roll.
    """

    landmarks: NDArray[np.float32]
    """(478, 2) points (x, y) in pixels of the photo; pixel centres lie at integers."""
    depth: NDArray[np.float32]
    """(478,) distance from the camera relative to the head's centre, in pixels like x; smaller is nearer; NaN where
    unknown."""
    yaw: float
    """Positive: the nose points towards the photo's right border."""
    pitch: float
    """Positive: the nose points down."""
    roll: float
    """Positive: the head is turned counter-clockwise in the photo."""


class Landmarker(Protocol):
    """Whatever finds faces in a photo: :class:`FaceLandmarker`, :func:`landmarks_from`, or a class of your own.

    Code that needs a landmarker asks for this method and for nothing else, so it runs without MediaPipe.

    Example:
        >>> class Nobody:
        ...     def detect(self, photo: Photo) -> list[Face]:
        ...         return []
        >>> landmarker: Landmarker = Nobody()
        >>> landmarker.detect(np.zeros((64, 64, 3), np.uint8))
        []
    """

    def detect(self, photo: Photo) -> list[Face]:
        """Find the faces in a photo, uint8 RGB (H, W, 3): the largest first, an empty list when there are none."""
        ...
