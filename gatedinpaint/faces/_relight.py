"""Give a warped reference the colours and the light of the photo that it was warped onto."""

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces.regions import CHIN, FOREHEAD, face_height
from gatedinpaint.image import Hole, Photo

# All is fitted at this height from forehead to chin, blurred: light is smooth, and the two faces never match in detail.
_FACE_HEIGHT = 64
_BLUR = 4.0

# How strongly the fit is held at "no change", as though every pixel of skin added so much evidence for it. Grey values
# for the contrast (a standard deviation of 17 weighs as much as the prior), face heights for the slope of the light.
_CONTRAST_PRIOR = 17.0**2
_LIGHT_PRIOR = 0.17**2
_CONTRAST = (0.5, 1.5)
_ITERATIONS = 5


def relight(warped: Photo, target: Photo, skin: Hole, landmarks: NDArray[np.float64]) -> Photo:
    r"""Match colour, contrast and side light of ``warped`` to ``target`` by the skin that both show.

    Per channel, with u and v in face heights across and down the face:

    .. math:: \mathrm{out} = g\,(\mathrm{warped} - m) + m + c_0 + c_1 u + c_2 v

    m is the mean of the skin, before. A robust ridge regression finds g and c; it is held at g = 1 and c₁ = c₂ = 0, so
    that little or contradictory evidence changes little. g is cut to 0.5–1.5, and the light to what it is somewhere on
    the skin: nothing is extrapolated to values that were not seen.

    Args:
        warped, target: uint8 RGB (H, W, 3).
        skin: bool (H, W), skin that both photos show. With less of it than a 64th of the squared face height, or none
            but specks, nothing is changed.
        landmarks: (478, 2) points (x, y) in pixels of ``target``.
    """
    cv2 = require("cv2", "faces")
    height = face_height(landmarks)
    if skin.sum() < height**2 / 64:
        return warped

    scale = min(1.0, _FACE_HEIGHT / height)
    size = tuple(max(1, round(side * scale)) for side in skin.shape[::-1])  # (width, height), as OpenCV has it
    weight = cv2.resize(skin.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    blurred_weight = cv2.GaussianBlur(weight, (0, 0), _BLUR)
    seen = weight > 0.5
    if not seen.any():
        return warped

    def smooth(photo: Photo) -> NDArray[np.float64]:
        """The skin's colours (N, 3), each averaged over the skin around it."""
        small = cv2.resize((photo * skin[..., None]).astype(np.float32), size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), _BLUR)[seen] / blurred_weight[seen, None]
        return np.asarray(blurred, dtype=np.float64)

    before, after = smooth(warped), smooth(target)
    middle = before.mean(0)
    basis = _light_basis(landmarks, np.divide(size, skin.shape[::-1]), size)
    gain, light = _fit(before - middle, after - before, basis[seen])
    seen_light = basis[seen] @ light
    field = (basis @ light).clip(seen_light.min(0), seen_light.max(0)) + middle * (1 - gain)
    full = cv2.resize(field.astype(np.float32), skin.shape[::-1], interpolation=cv2.INTER_LINEAR)
    relit: Photo = np.rint(warped * gain.astype(np.float32) + full).clip(0, 255).astype(np.uint8)
    return relit


def _light_basis(
    landmarks: NDArray[np.float64], scale: NDArray[np.float64], size: tuple[int, ...]
) -> NDArray[np.float64]:
    """1, u, v at each pixel of the reduced frame: (h, w, 3); u and v are 0 between the forehead and the chin."""
    points = (landmarks[[FOREHEAD, CHIN]] + 0.5) * scale - 0.5
    down = points[1] - points[0]
    unit = down / (down @ down)
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    x, y = x - points[:, 0].mean(), y - points[:, 1].mean()
    return np.stack([np.ones_like(x), x * unit[1] - y * unit[0], x * unit[0] + y * unit[1]], -1)


def _fit(
    values: NDArray[np.float64], change: NDArray[np.float64], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain (3,) and light (3 coefficients, 3 channels) with change ≈ (gain − 1) · values + basis · light."""
    weights = np.ones(len(values))
    for _ in range(_ITERATIONS):
        solution = []
        for channel in range(3):
            columns = np.column_stack([values[:, channel], basis])
            prior = len(values) * np.diag([_CONTRAST_PRIOR, 0.0, _LIGHT_PRIOR, _LIGHT_PRIOR])
            weighted = columns * weights[:, None]
            solution.append(np.linalg.solve(weighted.T @ columns + prior, weighted.T @ change[:, channel]))
        gain, light = 1 + np.stack(solution, 1)[0], np.stack(solution, 1)[1:]
        # Hair, glasses and hard shadows are on one photo only: what fits worse than most counts for less (Huber).
        misfit = np.abs(change - (gain - 1) * values - basis @ light).mean(1)
        weights = 1 / np.maximum(1, misfit / max(1.5 * float(np.median(misfit)), 1.0))
    return gain.clip(*_CONTRAST), light
