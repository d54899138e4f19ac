"""Find the pixels of a worn face mask: clusters of colour in the lower face, refined along their border."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces.align import AlignedFace, resample
from gatedinpaint.faces.regions import (
    CHIN,
    FOREHEAD,
    MASK_POLYGON,
    check_landmarks,
    face_height,
    mask_polygon,
    polygon_hole,
)
from gatedinpaint.image import Hole, Photo, check_photo

# Every face is segmented upright at this height from forehead to chin, in a window of this side: then all sizes below
# are plain pixels, and a photo gives the same hole at any resolution.
_FACE_HEIGHT = 144
_SIDE = 288

# Between and around the eyes: skin that no face mask covers. The median bears glasses and hair.
_SKIN = [9, 8, 107, 336, 66, 296, 105, 334, 229, 449, 226, 446, 55, 285, 193, 417]

# A biggest cluster nearer to the skin than this, in L*a*b* with half the lightness, is skin. Chosen low: a pink face
# mask on rosy skin is farther away, while some bare faces with a beard or a hard shadow are too, and pass for masked.
_SAME_COLOUR = 6.0
_OTHER_COLOUR = 15.0

# Outlines from the brow to just below the lower lid, one per eye: no face mask reaches there.
_EYES = ([33, 70, 105, 107, 133, 22, 23, 24], [263, 300, 334, 336, 362, 252, 253, 254])


class MaskNotFoundError(ValueError):
    """A photo in which a worn face mask is needed shows none."""


def kmeans(samples: NDArray[np.floating], k: int = 3, *, seed: int = 0) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Cluster samples around k means; the same samples and seed give the same clusters.

    Minimises the sum over samples of ``|sample − centre[label]|²`` by Lloyd's iteration, from the best of three
    k-means++ starts.

    Args:
        samples: (N, D), finite, N ≥ 1.
        k: number of clusters; at most as many as there are distinct samples are returned.
        seed: of the random starts.

    Returns:
        ``labels`` (N,) and ``centres`` (k, D), the cluster with most samples first.

    Raises:
        ValueError: no samples, samples that are not (N, D) or not finite, k under 1.

    Example:
        >>> labels, centres = kmeans(np.array([[0.0], [9.0], [1.0], [8.0], [10.0]]), 2)
        >>> labels.tolist(), centres.ravel().tolist()
        ([1, 0, 1, 0, 0], [9.0, 0.5])

    Reference:
        Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    points = np.asarray(samples, dtype=np.float64)
    if points.ndim != 2 or len(points) == 0:
        raise ValueError(
            f"samples must be (N, D) with N at least 1; got {points.shape}. For values pass values[:, None]."
        )
    if not np.isfinite(points).all():
        raise ValueError("samples must be finite; got NaN or infinite values. Drop those samples.")
    if k < 1:
        raise ValueError(f"k must be 1 or more; got {k}.")
    rng = np.random.default_rng(seed)
    _, labels, centres = min((_lloyd(points, k, rng) for _ in range(3)), key=lambda run: run[0])
    order = np.argsort(-np.bincount(labels, minlength=len(centres)), kind="stable")
    return np.argsort(order)[labels], centres[order]


def _lloyd(
    samples: NDArray[np.float64], k: int, rng: np.random.Generator
) -> tuple[float, NDArray[np.intp], NDArray[np.float64]]:
    """One run: cost, labels, centres."""
    centres = samples[rng.integers(len(samples), size=1)]
    nearest = np.square(samples - centres).sum(1)
    while len(centres) < k and nearest.max() > 0:  # all 0: every distinct sample is a centre already
        centres = np.append(centres, samples[rng.choice(len(samples), size=1, p=nearest / nearest.sum())], axis=0)
        nearest = np.minimum(nearest, np.square(samples - centres[-1]).sum(1))
    labels = np.full(len(samples), -1)
    for _ in range(100):
        distances = np.stack([np.square(samples - centre).sum(1) for centre in centres], 1)
        previous, labels = labels, distances.argmin(1)
        if (labels == previous).all():
            break
        for index in np.unique(labels):  # a cluster that has lost all its samples keeps its centre
            centres[index] = samples[labels == index].mean(0)
    return float(distances.min(1).sum()), labels, centres


def segment_face_mask(photo: Photo, landmarks: NDArray[np.floating]) -> Hole:
    """Find the pixels of a worn face mask.

    The colours inside :func:`mask_polygon` fall into three clusters. The biggest is the face mask, and so is every
    other one whose colour is nearer to it than to the skin around the eyes: the shaded side, the folds. Closed, opened
    and filled, this is the start of a graph cut (GrabCut), which follows the visible border and may leave the polygon.

    Args:
        photo: uint8 RGB (H, W, 3).
        landmarks: (478, 2) points (x, y) in pixels, found in this photo.

    Returns:
        bool (H, W), True on the face mask: one connected region without holes, the same for the same input.

    Raises:
        MaskNotFoundError: the lower face lies outside the photo, or most of it has the colour of the skin around the
            eyes. Not every bare face is recognised so: beards and hard shadows have another colour.
        ValueError: a photo that is not uint8 (H, W, 3), landmarks that are not finite (478, 2) points.
        ImportError: OpenCV is not installed.

    Reference:
        Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004.

    **Departs from the paper**, which keeps the biggest cluster only and has no graph cut.

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
    cv2 = require("cv2", "faces")
    window = _window(check_photo(photo), check_landmarks(landmarks))
    points = window.landmarks
    region = polygon_hole(mask_polygon(points, jaw_shift=0.15, top_shift=0.0), (_SIDE, _SIDE))
    y, x = np.mgrid[:_SIDE, :_SIDE]
    source = np.round(window.to_source(np.stack([x, y], -1).reshape(-1, 2))).reshape(_SIDE, _SIDE, 2)
    region &= ((source >= 0) & (source < (photo.shape[1], photo.shape[0]))).all(-1)
    if not region.any():
        raise MaskNotFoundError("no face mask found: the lower face lies outside the photo. Check the landmarks.")

    found = _clustered(cv2, window.photo, points, region)
    hole: Hole = np.zeros(photo.shape[:2], bool)
    if found.any():
        cut = _graph_cut(cv2, window.photo, points, found)
        hole = window.restore((cut if cut.any() else found).astype(bool))
    if not hole.any():
        raise MaskNotFoundError(
            "no face mask found: the lower face has the colour of the skin around the eyes. "
            "Pass a photo of a person who wears one."
        )
    return hole


def _window(photo: Photo, points: NDArray[np.float64]) -> AlignedFace:
    """The lower face upright at the working size."""
    down = (points[CHIN] - points[FOREHEAD]) / face_height(points)
    linear = _FACE_HEIGHT / face_height(points) * np.array([[down[1], -down[0]], [down[0], down[1]]])
    offset = (_SIDE - 1) / 2 - linear @ points[list(MASK_POLYGON)].mean(0)
    matrix = np.column_stack([linear, offset])
    window = resample(photo, matrix, (_SIDE, _SIDE), border="replicate")
    moved = (points @ linear.T + offset).astype(np.float32)
    return AlignedFace(window, moved, matrix, (photo.shape[0], photo.shape[1]))


def _clustered(cv2: Any, photo: Photo, points: NDArray[np.float32], region: Hole) -> Any:
    blurred = cv2.GaussianBlur(photo.astype(np.float32) / 255, (0, 0), 1.2)
    # L*a*b*, with half the weight on lightness: folds and shadow change it, the cloth's colour stays.
    features = cv2.cvtColor(blurred, cv2.COLOR_RGB2LAB) * np.array([0.5, 1, 1], dtype=np.float32)
    labels, centres = kmeans(features[region])
    x, y = np.clip(np.round(points[_SKIN]).astype(int), 0, _SIDE - 1).T
    skin = np.median(features[y, x], axis=0)
    from_skin = np.linalg.norm(centres - skin, axis=1)
    found = np.zeros(region.shape, dtype=np.uint8)
    cloth = 0
    if from_skin[0] < _SAME_COLOUR:  # skin, unless the face mask fell into two clusters, bigger together
        foreign = from_skin >= _OTHER_COLOUR
        if foreign[labels].mean() < 0.5:
            return found
        cloth = int(foreign.argmax())
    of_mask = np.linalg.norm(centres - centres[cloth], axis=1) < from_skin
    of_mask[cloth] = True
    found[region] = of_mask[labels]
    return _cleaned(cv2, found, close=4, open=3)


def _graph_cut(cv2: Any, photo: Photo, points: NDArray[np.float32], start: Any) -> Any:
    reach = polygon_hole(mask_polygon(points, jaw_shift=0.15, top_shift=0.03), (_SIDE, _SIDE)).astype(np.uint8)
    trimap = np.full(start.shape, cv2.GC_BGD, dtype=np.uint8)
    trimap[cv2.dilate(reach, _disc(cv2, 20)) > 0] = cv2.GC_PR_BGD
    trimap[start > 0] = cv2.GC_PR_FGD
    trimap[cv2.erode(start, _disc(cv2, 11)) > 0] = cv2.GC_FGD
    for eye in _EYES:
        trimap[polygon_hole(points[eye], (_SIDE, _SIDE))] = cv2.GC_BGD
    cv2.setRNGSeed(0)  # GrabCut draws from OpenCV's global generator
    slightly_blurred = cv2.GaussianBlur(photo, (0, 0), 0.8)
    cv2.grabCut(slightly_blurred, trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    cut = ((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.dilate(_cleaned(cv2, cut, close=3, open=2), _disc(cv2, 1))


def _cleaned(cv2: Any, found: Any, *, close: int, open: int) -> Any:
    """Closed, opened (radii in pixels), without holes, the largest piece only."""
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, _disc(cv2, close))
    found = cv2.morphologyEx(found, cv2.MORPH_OPEN, _disc(cv2, open))
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cleaned = np.zeros_like(found)
    if outlines:
        cv2.drawContours(cleaned, [max(outlines, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return cleaned


def _disc(cv2: Any, radius: int) -> Any:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
