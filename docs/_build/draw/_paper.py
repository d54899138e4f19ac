"""What the scripts have in common: the white sheet, the colours, and one masked face with the shipped generator."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage.data import astronaut
from torch import Tensor

from examples.mask_removal.pipeline import load_default
from gatedinpaint import InpaintGenerator, photo_to_image
from gatedinpaint.faces import FaceLandmarker, align, draw_face_mask

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#cc79a7", "#56b4e9")

# The text column of the site is about 7 inches; 200 dots are two for each of a screen's pixels.
WIDTH = 7.2
DPI = 200


def sheet(rows: int, columns: int, *, height: float, **options: Any) -> tuple[plt.Figure, np.ndarray]:
    """A white figure as wide as the text, with a 2-d array of axes."""
    torch.set_num_threads(1)
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, height), squeeze=False, layout="constrained", facecolor="white", **options
    )
    return figure, axes


def save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=0.05)  # a title may reach beyond the sheet
    plt.close(figure)


def show(ax: plt.Axes, picture: Any, title: str = "", **options: Any) -> Any:
    """A picture without axes: an image (1, 3, H, W) in [−1, 1], a map (1, 1, H, W) or (H, W), or an array as it is."""
    if isinstance(picture, Tensor):
        picture = picture.detach().float().squeeze()
        picture = picture.numpy() if picture.ndim == 2 else (picture.permute(1, 2, 0).clamp(-1, 1).numpy() + 1) / 2
    ax.set_axis_off()
    ax.set_title(title, fontsize=8)
    return ax.imshow(picture, **{"cmap": "gray", "interpolation": "nearest", **options})


class MaskedFace(NamedTuple):
    """A drawn face mask on scikit-image's astronaut, as the shipped generator sees it."""

    generator: InpaintGenerator
    truth: Tensor
    image: Tensor
    mask: Tensor


@cache
def masked_face() -> MaskedFace:
    photo = astronaut()
    face = FaceLandmarker().detect(photo)[0]
    masked, hole = draw_face_mask(photo, face.landmarks, style="surgical", color="blue", seed=0)
    crop = align(masked, face.landmarks, size=128)
    truth = align(photo, face.landmarks, size=128)
    mask = torch.from_numpy(crop.cover(hole)).float()[None, None]
    return MaskedFace(load_default(), photo_to_image(truth.photo), photo_to_image(crop.photo), mask)
