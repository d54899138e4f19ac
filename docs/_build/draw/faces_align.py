"""FFHQ's square on a photo, and how generated pixels go back into a large one."""

import math
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

from docs._build.draw._paper import BLUE, GREEN, ORANGE, save, sheet, show
from gatedinpaint.faces import FaceLandmarker, align, face_mask_hole, paste

FIGURES = ("alignment.png", "paste.png")
EYES = [33, 160, 158, 133, 153, 144], [362, 385, 387, 263, 373, 380]
TINT = (0.86, 0.90, 0.94)


def draw(folder: Path) -> None:
    landmarks = FaceLandmarker().detect(astronaut())[0].landmarks
    _alignment(folder, landmarks)
    _paste(folder, landmarks)


def _alignment(folder: Path, landmarks: np.ndarray) -> None:
    """A photo whose head is tilted: the square turns with it."""
    tilt = cv2.getRotationMatrix2D((224.0, 120.0), 24.0, 1.0)
    photo = cv2.warpAffine(astronaut(), tilt, (512, 512), borderMode=cv2.BORDER_REFLECT)
    landmarks = landmarks @ tilt[:, :2].T + tilt[:, 2]
    figure, axes = sheet(1, 4, height=1.95)
    show(axes[0, 0], photo, "photo")
    for scale, color, ax in ((1.0, BLUE, axes[0, 1]), (1.5, ORANGE, axes[0, 2])):
        crop = align(photo, landmarks, scale=scale)
        corners = crop.to_source(np.array([[-0.5, -0.5], [255.5, -0.5], [255.5, 255.5], [-0.5, 255.5]]))
        axes[0, 0].fill(*corners.T, facecolor="none", edgecolor=color, linewidth=1.2)
        show(ax, crop.photo, f"scale={scale:g}")
    axes[0, 0].set(xlim=(-0.5, 511.5), ylim=(511.5, -0.5))
    crop = align(photo, landmarks)
    left, right = (crop.landmarks[eye].mean(0) for eye in EYES)
    axes[0, 1].plot(*np.stack([left, right]).T, "-o", color=GREEN, markersize=2.5, linewidth=1)
    axes[0, 1].plot(
        *np.stack([(left + right) / 2, crop.landmarks[[61, 291]].mean(0)]).T, "-o", color=GREEN, markersize=2.5
    )
    show(axes[0, 3], crop.restore(crop.photo), "restore: back in the frame")
    save(figure, folder / "alignment.png")


def _paste(folder: Path, landmarks: np.ndarray) -> None:
    """In place of a generator: the photo itself at 128 pixels, with a tint. So all that is wrong is known."""
    large = cv2.resize(astronaut(), None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    noise = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 14, large.shape).astype(np.float32), (0, 0), 0.8)
    photo = (large + noise).clip(0, 255).astype(np.uint8)
    landmarks = (landmarks + 0.5) * 4 - 0.5
    hole = face_mask_hole(landmarks, photo.shape[:2], ear_loops=False)
    crop = align(photo, landmarks, size=128)
    generated = crop.restore((crop.photo * TINT).clip(0, 255).astype(np.uint8))
    resolution = 1 / math.sqrt(np.linalg.det(crop.matrix[:, :2]))
    forms = {
        "the photo, hole in grey": np.where(hole[..., None], np.uint8(128), photo),
        "generated pixels as they are": np.where(hole[..., None], generated, photo),
        "paste(grain=False)": paste(photo, generated, hole, resolution=resolution, grain=False),
        "paste": paste(photo, generated, hole, resolution=resolution),
    }
    figure, axes = sheet(2, 4, height=3.85)
    whole, detail = (slice(140, 760), slice(590, 1210)), (slice(410, 560), slice(700, 850))
    for (top, bottom), (title, picture) in zip(axes.T, forms.items(), strict=True):
        show(top, picture[whole], title)
        show(bottom, picture[detail])
    save(figure, folder / "paste.png")
