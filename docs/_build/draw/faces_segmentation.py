"""How the outline of a face mask is found, and what is found on four styles and on a bare face."""

from pathlib import Path

import numpy as np
from skimage.data import astronaut

from docs._build.draw._paper import BLUE, GREY, ORANGE, RED, save, sheet, show
from gatedinpaint.faces import (
    MASK_STYLES,
    FaceLandmarker,
    MaskNotFoundError,
    align,
    draw_face_mask,
    find_face_mask,
    mask_polygon,
    polygon_hole,
)
from gatedinpaint.faces._colour_density import colour_cells, colour_density, to_lab
from gatedinpaint.faces._face_window import SIDE, bare_skin, face_window
from gatedinpaint.faces._mask_contour import find_contour

FIGURES = ("segmentation-steps.png", "segmentation.png")
SIZE = 400
LOWER_FACE = {"xlim": (70, 330), "ylim": (395, 165)}
SEEDS = {"surgical": 0, "ffp2": 1, "cloth": 3, "black": 0}


def draw(folder: Path) -> None:
    photo = astronaut()
    landmarks = FaceLandmarker().detect(photo)[0].landmarks
    masked, _ = draw_face_mask(photo, landmarks, style="ffp2", color="white", seed=1)
    _steps(folder, masked, landmarks)

    figure, axes = sheet(1, 5, height=1.75)
    for ax, style in zip(axes[0], MASK_STYLES, strict=False):
        masked, hole = draw_face_mask(photo, landmarks, style=style, seed=SEEDS[style])
        found = {method: find_face_mask(masked, landmarks, method=method) for method in ("kmeans", "contour")}
        crop = align(masked, landmarks, size=SIZE)
        share = " / ".join(f"{_overlap(face_mask.hole, hole):.2f}" for face_mask in found.values())
        title = f"{style}\nquality {found['contour'].quality:.2f}\n{share}"
        show(ax, crop.photo, title)
        ax.fill(*mask_polygon(crop.landmarks).T, facecolor="none", edgecolor=BLUE, linewidth=0.8)
        for face_mask, color in zip(found.values(), (ORANGE, RED), strict=True):
            ax.contour(crop.cover(face_mask.hole), levels=[0.5], colors=color, linewidths=0.9)
        ax.set(**LOWER_FACE)
    try:
        find_face_mask(photo, landmarks)
    except MaskNotFoundError as error:
        clarity = str(error).split("clarity ")[1].split(",")[0]
    show(axes[0, 4], align(photo, landmarks, size=SIZE).photo, f"bare\nclarity {clarity}\nrefused")
    axes[0, 4].set(**LOWER_FACE)
    save(figure, folder / "segmentation.png")


def _overlap(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / (found | true).sum())


def _steps(folder: Path, masked: np.ndarray, landmarks: np.ndarray) -> None:
    """Window, rays, log-odds and outline. The log-odds are those of one round and one sector, to show the idea."""
    window = face_window(masked, landmarks.astype(np.float64))
    polygon = mask_polygon(window.landmarks)
    outline = find_contour(window).points
    centre = outline.mean(0)
    lab = to_lab(window.photo, blur=1.0)
    cells, inside = colour_cells(lab), polygon_hole(centre + 0.85 * (outline - centre), (SIDE, SIDE))
    around = polygon_hole(centre + 1.5 * (outline - centre), (SIDE, SIDE))
    around &= ~polygon_hole(centre + 1.1 * (outline - centre), (SIDE, SIDE))
    skin = bare_skin(window.landmarks)
    other = 0.7 * colour_density(cells[around]) + 0.3 * colour_density(cells[skin])
    odds = (np.log(colour_density(cells[inside]) + 3e-5) - np.log(other + 3e-5)).clip(-2, 2)[cells]

    figure, axes = sheet(1, 4, height=1.95)
    show(axes[0, 0], window.photo, "window and polygon")
    axes[0, 0].fill(*polygon.T, facecolor="none", edgecolor=BLUE, linewidth=1)
    show(axes[0, 1], window.photo, "bare skin, rays")
    axes[0, 1].contour(skin, levels=[0.5], colors=ORANGE, linewidths=0.8)
    for end in (centre + 1.35 * (outline - centre))[::4]:
        axes[0, 1].plot(*np.stack([centre, end]).T, color=GREY, linewidth=0.3)
    axes[0, 1].set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5))
    show(axes[0, 2], odds, "log-odds of the colours", cmap="RdBu_r", vmin=-2, vmax=2)
    show(axes[0, 3], window.photo, "the cheapest path")
    axes[0, 3].fill(*outline.T, facecolor="none", edgecolor=RED, linewidth=1)
    save(figure, folder / "segmentation-steps.png")
