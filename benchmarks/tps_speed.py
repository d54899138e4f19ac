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
        Case("tps-grid", title, lambda: scipy(size), wanted={"scipy": 5.0}, tolerance=1e-9),
        # Of coordinates up to the size, OpenCV's are a few hundredths of a pixel off.
        Case("tps-grid-opencv", title, lambda: opencv(size), wanted={"opencv": 3.0}, tolerance=0.1 / size),
    ]


def points(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Control points, where they go, and all pixels; float32 (·, 2)."""
    random = np.random.default_rng(0)
    source = random.uniform(0, size, (30, 2))
    target = source + random.normal(0, 0.02 * size, source.shape)
    y, x = np.mgrid[:size, :size]
    return source.astype(np.float32), target.astype(np.float32), np.stack([x, y], -1).reshape(-1, 2).astype(np.float32)


# Fitting 30 points is a small part of the work; still every form does it each time.


def scipy(size: int) -> dict[str, Form]:
    from scipy.interpolate import RBFInterpolator

    source, target, pixels = points(size)

    def plain() -> Tensor:
        return torch.from_numpy(RBFInterpolator(source, target, kernel="thin_plate_spline", degree=1)(pixels))

    return {"scipy": plain, "ours": lambda: ours(source, target, size)}


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


def ours(source: np.ndarray, target: np.ndarray, size: int) -> Tensor:
    spline = ThinPlateSpline.fit(torch.from_numpy(source), torch.from_numpy(target))
    grid = spline.grid((size, size))
    return ((grid + 1) * (size / 2) - 0.5).reshape(-1, 2)  # in pixels, like the others
