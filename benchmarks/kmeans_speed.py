"""``kmeans`` on a histogram of colours, against OpenCV's k-means with ten attempts."""

import numpy as np
import torch

from benchmarks.timing import Case, Form
from gatedinpaint.faces import kmeans

K, CELLS, MOST_INERTIA = 3, 48, 1.001


def cases(*, quick: bool) -> list[Case]:
    size = (72, 128) if quick else (720, 1280)
    return [
        Case(
            "kmeans-colours",
            f"kmeans of the colours of a face, {size[1]}×{size[0]}, k = {K}",
            lambda: build(size),
            wanted={"opencv, 10 attempts": 30.0},
            tolerance=0.03,  # of the centres; the inertia is held tighter below
        )
    ]


def build(size: tuple[int, int]) -> dict[str, Form]:
    import cv2
    from skimage.data import astronaut

    face = cv2.resize(astronaut()[:288], size[::-1], interpolation=cv2.INTER_CUBIC)
    colours = face.reshape(-1, 3)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-3)

    def opencv() -> torch.Tensor:
        cv2.setNumThreads(torch.get_num_threads())
        cv2.setRNGSeed(0)
        _, labels, centres = cv2.kmeans(colours.astype(np.float32), K, None, stop, 10, cv2.KMEANS_PP_CENTERS)
        return torch.from_numpy(centres[np.argsort(-np.bincount(labels.ravel()))])

    def ours() -> torch.Tensor:
        return torch.from_numpy(kmeans(colours, K, cells=CELLS)[1].astype(np.float32))

    best, reached = inertia(colours, opencv()), inertia(colours, ours())
    if reached > MOST_INERTIA * best:
        raise AssertionError(f"inertia {reached:.6g}, OpenCV reaches {best:.6g}")
    return {"opencv, 10 attempts": opencv, "ours": ours}


def inertia(colours: np.ndarray, centres: torch.Tensor) -> float:
    distances = [np.square(colours - centre.astype(np.float64)).sum(1) for centre in centres.numpy()]
    return float(np.min(distances, axis=0).sum())
