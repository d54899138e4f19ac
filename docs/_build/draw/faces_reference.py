"""A reference warped onto a masked face: the map as a grid, what is known, the confidence, and the light."""

from pathlib import Path

import numpy as np
import torch
from skimage.data import astronaut

from docs._build.draw._paper import BLUE, ORANGE, save, sheet, show
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint import ThinPlateSpline
from gatedinpaint.faces import TPS_POINTS, FaceLandmarker, align, draw_face_mask, face_height, warp_reference

FIGURES = ("reference-warp.png",)
SIZE = (256, 256)
VIEW = View(mirrored=False, turn=0.34, nod=0.06, gain=0.8, tint=(1.08, 1.0, 0.9), side_light=0.25)


def draw(folder: Path) -> None:
    landmarker, photo = FaceLandmarker(), astronaut()
    landmarks = landmarker.detect(photo)[0].landmarks
    masked, hole = draw_face_mask(photo, landmarks, style="surgical", color="blue", seed=0)
    other, _ = seen_otherwise(photo, landmarks, VIEW)

    target, truth = align(masked, landmarks), align(photo, landmarks)
    reference = align(other, landmarker.detect(other)[0].landmarks)
    arguments = reference.photo, reference.landmarks, target.landmarks, SIZE
    hole = target.cover(hole)
    plain = warp_reference(*arguments)
    relit = warp_reference(*arguments, target=target.photo, hole=hole)

    figure, axes = sheet(2, 4, height=3.9)
    points = list(TPS_POINTS)
    spline = ThinPlateSpline.fit(
        torch.from_numpy(target.landmarks[points]),
        torch.from_numpy(reference.landmarks[points]),
        regularization=1e-2 * face_height(target.landmarks) ** 2,
    )
    lines = _grid(target.landmarks[points])
    show(axes[0, 0], target.photo, "target")
    show(axes[0, 1], reference.photo, "reference")
    for line in lines:
        axes[0, 0].plot(*line.T, color=BLUE, linewidth=0.6)
        axes[0, 1].plot(*spline(torch.from_numpy(line)).T, color=BLUE, linewidth=0.6)
    axes[0, 0].plot(*target.landmarks[points].T, "o", color=ORANGE, markersize=2)
    axes[0, 1].plot(*reference.landmarks[points].T, "o", color=ORANGE, markersize=2)
    show(axes[0, 2], np.where(plain.known[..., None], plain.photo, 225), "warped, where known")
    confidence = np.where(plain.known, plain.confidence, np.nan)
    image = show(axes[0, 3], confidence, "confidence", cmap="viridis", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes[0, 3], fraction=0.046, pad=0.02)
    show(axes[1, 0], np.where(relit.known[..., None], relit.photo, 225), "with target=: relit")
    for ax, title, warped in ((axes[1, 1], "pasted as it is", plain), (axes[1, 2], "pasted relit", relit)):
        show(ax, np.where((hole & warped.known)[..., None], warped.photo, target.photo), title)
    show(axes[1, 3], truth.photo, "truth")
    save(figure, folder / FIGURES[0])


def _grid(points: np.ndarray) -> list[np.ndarray]:
    """Lines along and across the box around the points."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    x, y = np.linspace(left, right, 9), np.linspace(top, bottom, 9)
    fine_x, fine_y = np.linspace(left, right, 60), np.linspace(top, bottom, 60)
    across = [np.stack([fine_x, np.full(60, value)], 1) for value in y]
    return across + [np.stack([np.full(60, value), fine_y], 1) for value in x]
