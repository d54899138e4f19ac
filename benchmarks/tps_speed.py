"""The dense grid of a thin-plate spline, against SciPy and OpenCV."""

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Case, Form
from gatedinpaint import ThinPlateSpline


def cases(*, quick: bool) -> list[Case]:
    size = 64 if quick else 512
    title = f"TPS grid {size}×{size}, 30 points"
    return [
        # Of coordinates up to the size, ours are less than a thousandth of a pixel off, OpenCV's a few hundredths.
        Case("tps-grid", title, lambda: scipy(size), wanted={"scipy": 5.0}, tolerance=1e-3 / size),
        Case("tps-grid-exact", f"{title}, exact", lambda: scipy(size, exact=True), tolerance=1e-9),
        Case("tps-grid-opencv", title, lambda: opencv(size), wanted={"opencv": 3.0}, tolerance=0.1 / size),
    ]


def points(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Control points, where they go, and all pixels; float32 (·, 2)."""
    random = np.random.default_rng(0)
    # Landmarks keep their distance from one another: a lattice, moved a little.
    lattice = np.stack(np.meshgrid(np.linspace(0.05, 0.95, 6), np.linspace(0.05, 0.95, 5)), -1).reshape(-1, 2)
    source = size * (lattice + random.normal(0, 0.02, lattice.shape))
    target = source + random.normal(0, 0.01 * size, source.shape)
    y, x = np.mgrid[:size, :size]
    return source.astype(np.float32), target.astype(np.float32), np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)


# Fitting 30 points is a small part of the work; still every form does it each time.


def scipy(size: int, *, exact: bool = False) -> dict[str, Form]:
    from scipy.interpolate import RBFInterpolator

    source, target, pixels = points(size)

    def plain() -> Tensor:
        return torch.from_numpy(RBFInterpolator(source, target, kernel="thin_plate_spline", degree=1)(pixels))

    return {"scipy": plain, "ours": lambda: ours(source, target, size, exact=exact)}


def opencv(size: int) -> dict[str, Form]:
    import cv2

    source, target, pixels = points(size)
    matches = [cv2.DMatch(index, index, 0) for index in range(len(source))]
    cv2.setNumThreads(torch.get_num_threads())

    def plain() -> Tensor:
        transformer = cv2.createThinPlateSplineShapeTransformer()
        transformer.estimateTransformation(source[None], target[None], matches)
        return torch.from_numpy(transformer.applyTransformation(pixels[None])[1][0])

    return {"opencv": plain, "ours": lambda: ours(source, target, size)}


def ours(source: np.ndarray, target: np.ndarray, size: int, *, exact: bool = False) -> Tensor:
    spline = ThinPlateSpline.fit(torch.from_numpy(source), torch.from_numpy(target))
    grid = spline.grid((size, size), exact=exact)
    return grid.add_(1).mul_(size / 2).sub_(0.5).view(-1, 2)  # in pixels, like the others
