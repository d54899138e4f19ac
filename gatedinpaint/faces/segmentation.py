"""Find the pixels of a worn face mask, and say how far to trust them."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._ear_loops import find_ear_loops
from gatedinpaint.faces._face_window import HEIGHT, SIDE, add_to_hole, disc, face_window
from gatedinpaint.faces._kmeans import kmeans
from gatedinpaint.faces._mask_contour import find_contour
from gatedinpaint.faces.align import AlignedFace
from gatedinpaint.faces.regions import check_landmarks, mask_polygon, polygon_hole
from gatedinpaint.image import Hole, Photo, check_photo

SegmentationMethod = Literal["contour", "kmeans"]

# How clearly a face mask must stand out: below the first is a bare face, below the second the outline is not trusted.
_BARE, _TRUSTED = 0.70, 0.76


class MaskNotFoundError(ValueError):
    """A photo in which a worn face mask is needed shows none."""


@dataclass(frozen=True, eq=False)
class FaceMask:
    """A worn face mask found in a photo by :func:`find_face_mask`."""

    hole: Hole
    """bool (H, W), True on the face mask."""
    quality: float
    """0 to 1: ``clarity`` times how plausible the outline found is: face masks are nearly convex, and all that lies
    inside has their colours."""
    source: Literal["segmentation", "polygon"]
    """What ``hole`` is: the pixels found, or :func:`mask_polygon` because they could not be trusted."""
    clarity: float
    """0 to 1: how clearly a face mask stands out, by the contrast across its upper edge, the share of its colours that
    the bare skin does not have, and whether no lips are visible."""


def find_face_mask(
    photo: Photo, landmarks: NDArray[np.floating], *, method: SegmentationMethod = "contour"
) -> FaceMask:
    """Find the pixels of a worn face mask, with a score that says how far to trust them.

    ``"contour"``: the outline is star-shaped, with one radius on each of 256 rays from the mouth, and minimises by
    dynamic programming

        colour · (∫ outside − ∫ inside of the log-odds) − edge · contrast(r) + shape · (r − polygon)² + jump · (Δr)²

    where the log-odds of a colour compare how often it occurs inside the outline with how often around it and on the
    bare skin of the upper face. Logos, folds and patterns lie inside and are of no consequence; where cloth and
    surroundings look alike, the shape of the face decides. Then the cords are followed from the outline to the ears.

    ``"kmeans"``, the paper's recipe: the colours inside :func:`mask_polygon` fall into three clusters, and the biggest
    one is the face mask, after closing and opening.

    Args:
        photo: uint8 RGB (H, W, 3).
        landmarks: (478, 2) points (x, y) in pixels, found in this photo.
        method: how.

    Returns:
        The hole, the same for the same input; its ``quality``; and its ``source``: the polygon serves where the face
        mask stands out too little for the pixels found to be trusted.

    Raises:
        MaskNotFoundError: the lower face lies outside the photo, or nothing stands out from the skin.
        TypeError: a photo that is not an array of uint8, landmarks that are not numbers.
        ValueError: an unknown method, a photo that is not (H, W, 3), landmarks that are not finite (478, 2) points.
        ImportError: OpenCV is not installed.

    Reference:
        The optimal path: Li, Wu, Chen and Sonka, "Optimal surface segmentation in volumetric images", PAMI 2006, in one
        dimension less.

    **Departs from the paper**, which has the clusters only, measures in pixels of the photo and takes every face for a
    masked one.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker, draw_face_mask
        >>> photo = astronaut()
        >>> landmarks = FaceLandmarker().detect(photo)[0].landmarks
        >>> masked, drawn = draw_face_mask(photo, landmarks)
        >>> found = find_face_mask(masked, landmarks)
        >>> found.source, found.quality > 0.7, bool((found.hole & drawn).sum() / (found.hole | drawn).sum() > 0.9)
        ('segmentation', True, True)
    """
    if method not in get_args(SegmentationMethod):
        raise ValueError(f"method must be one of {', '.join(get_args(SegmentationMethod))}; got {method!r}.")
    photo, points = check_photo(photo), check_landmarks(landmarks)
    polygon = mask_polygon(points)
    size = (photo.shape[0], photo.shape[1])
    if (polygon.max(0) < 0).any() or (polygon.min(0) > (size[1] - 1, size[0] - 1)).any():
        raise MaskNotFoundError("no face mask found: the lower face lies outside the photo. Check the landmarks.")

    window = face_window(photo, points)
    contour = find_contour(window)
    if contour.clarity < _BARE:
        raise MaskNotFoundError(
            "no face mask found: nothing with an edge over cheeks and nose has another colour than the skin "
            f"(clarity {contour.clarity:.2f}, at least {_BARE} needed). Pass a photo of a person who wears one."
        )
    quality = contour.clarity * contour.plausibility
    if contour.clarity < _TRUSTED:
        return FaceMask(polygon_hole(polygon, size), quality, "polygon", contour.clarity)
    if method == "kmeans":
        hole: Hole = np.zeros(size, bool)
        add_to_hole(hole, window, _biggest_cluster(window))
    else:
        # The outline is drawn at the photo's own resolution: smooth, whatever the window's.
        hole = _filled(window.to_source(contour.points), size)
        add_to_hole(hole, window, find_ear_loops(window, _filled(contour.points, (SIDE, SIDE))))
    return FaceMask(hole, quality, "segmentation", contour.clarity)


def segment_face_mask(photo: Photo, landmarks: NDArray[np.floating], *, method: SegmentationMethod = "contour") -> Hole:
    """Find the pixels of a worn face mask: the hole of :func:`find_face_mask`, bool (H, W).

    Args:
        photo: uint8 RGB (H, W, 3).
        landmarks: (478, 2) points (x, y) in pixels, found in this photo.
        method: ``"contour"``, or the paper's ``"kmeans"``.

    Raises:
        MaskNotFoundError, ValueError, ImportError: as :func:`find_face_mask`.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker, draw_face_mask
        >>> photo = astronaut()
        >>> landmarks = FaceLandmarker().detect(photo)[0].landmarks
        >>> masked, drawn = draw_face_mask(photo, landmarks, ear_loops=False)
        >>> hole = segment_face_mask(masked, landmarks)
        >>> bool((hole & drawn).sum() / (hole | drawn).sum() > 0.9)
        True
    """
    return find_face_mask(photo, landmarks, method=method).hole


def _filled(outline: NDArray[np.floating], size: tuple[int, int]) -> Hole:
    """The pixels inside. A polygon's hole also has those that its outline only touches, half a pixel all around."""
    outwards = outline - outline.mean(0)
    return polygon_hole(outline - 0.5 * outwards / np.linalg.norm(outwards, axis=1, keepdims=True), size)


def _biggest_cluster(window: AlignedFace) -> Hole:
    """The paper's recipe in a face window: the biggest of three clusters of colour, closed and opened, in one piece."""
    cv2 = require("cv2", "faces")
    region = polygon_hole(mask_polygon(window.landmarks), (SIDE, SIDE))
    blurred = cv2.GaussianBlur(window.photo.astype(np.float32) / 255, (0, 0), HEIGHT / 120)
    labels, _ = kmeans(cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB)[region], cells=48)
    found = np.zeros((SIDE, SIDE), np.uint8)
    found[region] = labels == 0
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, disc(HEIGHT // 36))
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, disc(HEIGHT // 48))
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros((SIDE, SIDE), np.uint8)
    if outlines:
        cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return cv2.dilate(filled, disc(1)) > 0  # type: ignore[no-any-return]
