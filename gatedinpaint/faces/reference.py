"""Carry the lower face of a reference photo onto another photo of the same person."""

import numpy as np
import torch
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces.regions import TPS_POINTS, check_landmarks, face_height
from gatedinpaint.image import Hole, Photo, check_photo, image_to_photo, photo_to_image
from gatedinpaint.warp import ThinPlateSpline, warp_image


def warp_reference(
    reference: Photo,
    reference_landmarks: NDArray[np.floating],
    landmarks: NDArray[np.floating],
    size: tuple[int, int],
    *,
    regularization: float = 1e-4,
) -> tuple[Photo, Hole]:
    """Warp a reference photo so that its lower face lies where the lower face of another photo is.

    A thin-plate spline maps the landmarks :data:`TPS_POINTS` of the photo to those of the reference; every pixel of the
    result is looked up in the reference there. A reference of a larger face is shrunk first, so that it does not alias.

    Args:
        reference: uint8 RGB (h, w, 3), the second photo of the person.
        reference_landmarks: (478, 2) points (x, y) in pixels of ``reference``.
        landmarks: (478, 2) points (x, y) in pixels of the photo to be matched.
        size: (height, width) of that photo, and of the result.
        regularization: of the spline, in squared heights of the face, whatever the photo's size; 0 meets every landmark
            exactly, larger values bend less.

    Returns:
        The warped photo, uint8 RGB (H, W, 3), and ``known``: bool (H, W), True where the reference has a pixel to show:
        not outside the reference, where its border is repeated, and not where the map folds over, which happens when
        one head is turned so far that it hides what the other shows.

    Raises:
        TypeError: a reference that is not uint8.
        ValueError: a reference that is not (h, w, 3), landmarks that are not finite (478, 2) points, or a size under 2.
        ImportError: OpenCV is not installed and the reference has to be shrunk.

    **Departs from the paper's** released code, which used one of two lists of 17 and 28 points: the 30 points of the
    paper are taken to be the 28 plus landmarks 0 and 17.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> photo = astronaut()
        >>> landmarks = FaceLandmarker().detect(photo)[0].landmarks
        >>> warped, known = warp_reference(photo, landmarks, landmarks + [0, 100], (512, 512))
        >>> bool(known[99, 256]), bool(known[101, 256])
        (False, True)
    """
    reference = check_photo(reference, name="reference")
    source, target = check_landmarks(landmarks), check_landmarks(reference_landmarks)
    if min(size) < 2:
        raise ValueError(f"size must be (height, width), both 2 or more; got {size}.")

    shrink = face_height(source) / face_height(target)
    if shrink < 1:
        cv2 = require("cv2", "faces")
        height, width = (max(1, round(side * shrink)) for side in reference.shape[:2])
        scale = np.array([width / reference.shape[1], height / reference.shape[0]])
        reference = cv2.resize(reference, (width, height), interpolation=cv2.INTER_AREA)
        target = (target + 0.5) * scale - 0.5

    points = list(TPS_POINTS)
    spline = ThinPlateSpline.fit(
        torch.from_numpy(source[points]),
        torch.from_numpy(target[points]),
        # The kernel r² log r grows with the square of a length, and so must what is added to it.
        regularization=regularization * face_height(source) ** 2,
    )
    warped, inside = warp_image(photo_to_image(reference), spline, size=size)
    known: Hole = inside[0, 0].numpy() > 0
    # Where the map turns over, the head is turned too far: the reference does not show that side of the face.
    (xy, xx), (yy, yx) = (torch.gradient(field) for field in spline.grid(size)[0].unbind(-1))
    return image_to_photo(warped), known & (xx * yy - xy * yx > 0).numpy()
