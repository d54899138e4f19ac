"""The map from a photo to a reference of the same face: a spline that does not fold, and how far to trust it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._visibility import visible_control_points
from gatedinpaint.faces.regions import TPS_POINTS, face_height, mask_polygon, polygon_hole
from gatedinpaint.image import Hole
from gatedinpaint.warp import DegenerateControlPointsError, ThinPlateSpline

# Lengths in heights of the face.
_STEP = 1 / 48  # of the grid on which folds are looked for and confidence is computed
_RINGS = (0.006, 0.012, 0.018)  # around each control point, likewise for folds
_REACH = 0.25  # of a control point: at twice this distance confidence has fallen to 14 %
# After a similarity transform: between what two photos of one person have, and what they have with one side mirrored.
_WORST_MISFIT = 0.25

# An area that shrinks below this share of what the similarity transform makes of it counts as folded.
_FOLDED = 0.05
_STIFFER = (0.0, 0.1, 1.0)  # added to the regularization, one after the other, until nothing folds


@dataclass(frozen=True, eq=False)
class FaceMap:
    """Where each pixel of a photo is looked up in the reference."""

    spline: ThinPlateSpline
    confidence: NDArray[np.float32]
    """(h, w) in [0, 1], on a grid coarser than the photo that covers it."""
    method: Literal["spline", "similarity"]
    folded: bool
    """Whether the first spline folded over."""


def face_region(landmarks: NDArray[np.float64], size: tuple[int, ...]) -> Hole:
    """The face and all that a face mask on it may cover, with some margin: bool (H, W)."""
    cv2 = require("cv2", "faces")
    outline = np.concatenate([landmarks, mask_polygon(landmarks, jaw_shift=0.2)]).astype(np.float32)
    hull = cv2.convexHull(outline)[:, 0]
    return polygon_hole(hull.mean(0) + 1.1 * (hull - hull.mean(0)), (size[0], size[1]))


def fit_map(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], size: tuple[int, ...], regularization: float
) -> FaceMap:
    """Fit the map that sends the landmarks of a photo (478, 2) to those of the reference (478, 2).

    Raises:
        DegenerateControlPointsError: landmarks that no similarity transform brings near each other.
    """
    points = np.array(TPS_POINTS)
    _check_same_side(ours[points], theirs[points], face_height(theirs))
    points = points[visible_control_points(ours) & visible_control_points(theirs)]
    source, destination = ours[points], theirs[points]
    height = face_height(ours)
    factor = _similarity(source, destination)[2]

    rows, columns = (max(2, round(side / (_STEP * height))) for side in size)
    spacing = np.array([size[1] / columns, size[0] / rows])
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * spacing - 0.5
    in_face = face_region((ours + 0.5) / spacing - 0.5, (rows, columns)).ravel()
    # A map bends most around its control points, where the grid may be too coarse to see it.
    circle = np.exp(2j * np.pi * np.arange(8) / 8)
    rings = height * np.concatenate([radius * np.stack([circle.real, circle.imag], 1) for radius in _RINGS])
    around = np.concatenate([source, (source[:, None] + rings).reshape(-1, 2)])
    distance = np.linalg.norm(grid[:, None] - source, axis=-1).min(1) / height
    near = np.exp(-0.5 * (distance / _REACH) ** 2)

    for stiffer in _STIFFER:
        spline = ThinPlateSpline.fit(
            torch.from_numpy(source),
            torch.from_numpy(destination),
            # The kernel r² log r grows with the square of a length, and so must what is added to it.
            regularization=(regularization + stiffer) * height**2,
        )
        on_grid, nearby = (spline.jacobian(torch.from_numpy(p)).numpy() / abs(factor) for p in (grid, around))
        if np.linalg.det(np.concatenate([on_grid[in_face], nearby])).min() > _FOLDED:
            # In the worst direction, how many pixels of the reference there are for one of the photo.
            detail = _smaller_singular_value(on_grid).clip(0, 1)
            confidence = (near * detail).astype(np.float32).reshape(rows, columns)
            return FaceMap(spline, confidence, "spline", stiffer > 0)
    similarity = _similarity_map(source, destination, factor)
    return FaceMap(similarity, near.astype(np.float32).reshape(rows, columns), "similarity", True)


def _smaller_singular_value(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of matrices (M, 2, 2), (M,), without an SVD for each.

    √((a + d)² + (b − c)²) is the sum of the two singular values, √((a − d)² + (b + c)²) their difference, but for
    the sign where the matrix mirrors.
    """
    (a, b), (c, d) = np.moveaxis(matrices, 0, -1)
    smaller: NDArray[np.float64] = np.abs(np.hypot(a + d, b - c) - np.hypot(a - d, b + c)) / 2
    return smaller


def _check_same_side(ours: NDArray[np.float64], theirs: NDArray[np.float64], height: float) -> None:
    before, after, factor = _similarity(ours, theirs)
    misfit = float(np.sqrt(np.square(np.abs(after - factor * before)).mean())) / height
    if misfit > _WORST_MISFIT:
        raise DegenerateControlPointsError(
            "landmarks and reference_landmarks must show the same side of a face; got two sets that lie "
            f"{misfit:.2f} face heights apart at best. Detect both in the photos they are passed with; for a mirrored "
            "photo use mirror_landmarks."
        )


def _similarity(
    source: NDArray[np.float64], destination: NDArray[np.float64]
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], complex]:
    """Both sets of points about their centres, as complex numbers: the best rotation and scale is one factor."""
    before, after = ((points - points.mean(0)) @ [1, 1j] for points in (source, destination))
    return before, after, complex(np.vdot(before, after) / np.vdot(before, before).real)


def _similarity_map(source: NDArray[np.float64], destination: NDArray[np.float64], factor: complex) -> ThinPlateSpline:
    """The similarity transform as a spline through three corners, which has nothing to bend for."""
    linear = np.array([[factor.real, factor.imag], [-factor.imag, factor.real]])
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]) * np.ptp(source)
    images = destination.mean(0) + corners @ linear
    return ThinPlateSpline.fit(torch.from_numpy(source.mean(0) + corners), torch.from_numpy(images))
