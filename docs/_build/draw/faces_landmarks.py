"""The 478 landmarks, the two sets of them that matter here, and the yaw of a head."""

from pathlib import Path

from matplotlib import pyplot as plt
from skimage.data import astronaut

from docs._build.draw._paper import BLUE, GREEN, ORANGE, save, sheet, show
from examples.mask_removal.views import View, seen_otherwise
from gatedinpaint.faces import TPS_POINTS, FaceLandmarker, align, mask_polygon

FIGURES = ("landmarks.png",)


def draw(folder: Path) -> None:
    landmarker, photo = FaceLandmarker(), astronaut()
    landmarks = landmarker.detect(photo)[0].landmarks
    crop = align(photo, landmarks, size=400)

    figure, axes = sheet(1, 4, height=1.95)
    show(axes[0, 0], crop.photo, "the 478 landmarks")
    axes[0, 0].plot(*crop.landmarks.T, ".", color="#56b4e9", markersize=1.2)
    show(axes[0, 1], crop.photo, "mask polygon, TPS_POINTS")
    axes[0, 1].fill(*mask_polygon(crop.landmarks).T, facecolor="none", edgecolor=BLUE, linewidth=1.2)
    axes[0, 1].plot(*crop.landmarks[list(TPS_POINTS)].T, "o", color=ORANGE, markersize=2)
    for ax, turn in zip(axes[0, 2:], (-0.35, 0.35), strict=True):
        _turned(ax, landmarker, *seen_otherwise(photo, landmarks, View(mirrored=False, turn=turn))[:1])
    save(figure, folder / FIGURES[0])


def _turned(ax: plt.Axes, landmarker: FaceLandmarker, photo: object) -> None:
    face = landmarker.detect(photo)[0]
    crop = align(photo, face.landmarks, size=400)
    show(ax, crop.photo, f"yaw {face.yaw:.0f}°, pitch {face.pitch:.0f}°".replace("-", "−"))
    ax.plot(*crop.landmarks.T, ".", color="#56b4e9", markersize=0.6)
    ax.plot(*crop.landmarks[[168, 4]].T, "-", color=GREEN, linewidth=1.5)
