"""The light and the grain of a photo, measured on a face, for what is drawn onto it."""

import math

import numpy as np

from gatedinpaint._optional import require
from gatedinpaint.faces._mask_layers import Field
from gatedinpaint.faces._mask_shape import Points
from gatedinpaint.faces.regions import CHIN, FOREHEAD, MIRROR, face_height
from gatedinpaint.image import Photo

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)

# Skin above the beard line: cheeks, sides of the nose, temples; of one side, the other is its mirror image.
_CHEEKS = np.array([50, 101, 36, 117, 118, 119, 100, 123, 116, 111, 142, 47, 126, 205, 187, 137, 227, 108, 69])
_SKIN = np.concatenate([_CHEEKS, MIRROR[_CHEEKS], [6, 197, 195, 5, 9, 151]])
_EYES = ((468, 33), (468, 133), (473, 263), (473, 362))  # iris and corner: the white lies in between

_CELLS = 24


def face_light(photo: Photo, points: Points, box: tuple[slice, slice]) -> Field:
    """Light (H, W, 3) in the box of a photo: how bright a white cloth in front of the face would be, about 0 to 1.

    Skin is sampled where neither beard nor lips are, and smoothed far along the face's axis but little across it: side
    light and its terminator carry over, what grows or is painted on the face does not.
    """
    cv2 = require("cv2", "faces")
    height, width = box[0].stop - box[0].start, box[1].stop - box[1].start
    unit = face_height(points)
    places = points[_SKIN]
    colors = _sample(photo, places, radius=0.02 * unit)
    seen = np.isfinite(colors).all(1)
    if seen.sum() < 8:  # a face at the photo's border: an evenly lit cloth
        return np.full((height, width, 3), 0.8, dtype=np.float32)
    places, colors = places[seen], colors[seen]
    level = np.log(colors @ _LUMINANCE + 0.02)
    lit = float(np.quantile(level, 0.7))  # the lit part of the face, also where half of it lies in shadow

    down = (points[CHIN] - points[FOREHEAD]) / unit
    axes = (
        np.array([[down[1] / 0.09, -down[0] / 0.09], [down[0] / 0.45, down[1] / 0.45]]) / unit
    )  # of the Gaussian kernel
    y, x = np.mgrid[: min(_CELLS, height), : min(_CELLS, width)]
    cells = np.stack([(x + 0.5) * width / x.shape[1] - 0.5, (y + 0.5) * height / y.shape[0] - 0.5], -1)
    cells = cells + (box[1].start, box[0].start)

    def smooth(at: Points, trust: Points) -> Points:
        distance = ((at[..., None, :] - places) @ axes.T) ** 2
        weight = np.exp(-np.minimum(0.5 * distance.sum(-1), 30)) * trust
        # The lit level has a say too: far from every sample it is all that is known.
        smoothed: Points = (weight @ level + 0.05 * lit) / (weight.sum(-1) + 0.05)
        return smoothed

    # Hair, glasses and highlights among the samples differ from their surroundings and lose their say.
    trust = np.ones(len(level))
    for _ in range(3):
        trust = 1 / (1 + ((level - smooth(places, trust)) / 0.15) ** 2)
    direction = np.clip(np.exp(smooth(cells, trust) - lit), 0.2, 1.25) ** 0.9

    skin = math.exp(lit)
    tint = np.median(colors / np.exp(level)[:, None], axis=0)
    light = (_exposure(photo, points, skin) * direction)[..., None] * (1 + 0.08 * (np.clip(tint, 0.5, 1.6) - 1))
    resized: Field = cv2.resize(light.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return resized.reshape(height, width, 3)


def _sample(photo: Photo, places: Points, *, radius: float) -> Points:
    """Median colour (N, 3), 0 to 1, around every place; NaN outside the photo."""
    reach = max(0, round(radius))
    colors = np.full((len(places), 3), np.nan)
    for color, (x, y) in zip(colors, np.round(places).astype(int), strict=True):
        if 0 <= x < photo.shape[1] and 0 <= y < photo.shape[0]:
            patch = photo[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
            color[:] = np.median(patch.reshape(-1, 3), axis=0) / 255
    return colors


def _exposure(photo: Photo, points: Points, skin: float) -> float:
    """How bright white is in the light on the face.

    Between the lightest and the darkest skin there is a factor of two and more in the photo's values, so skin alone
    cannot tell dark skin from little light: within these bounds the whites of the eyes decide.
    """
    whites = np.array([points[iris] + 0.6 * (points[corner] - points[iris]) for iris, corner in _EYES])
    seen = _sample(photo, whites, radius=0.006 * face_height(points)) @ _LUMINANCE
    white = float(np.nanmax(seen)) / 0.68 if np.isfinite(seen).any() else skin / 0.6  # lids and lashes shade the white
    return float(np.clip(np.clip(white, skin / 0.72, skin / 0.4), 0.12, 0.96))


def grain(covered: Field) -> float:
    """Standard deviation of the photo's noise, from values (H, W, 3) between 0 and 1; at most 0.03.

    Reference:
        Immerkær, "Fast noise variance estimation", CVIU 1996; the median in place of the mean passes over edges.
    """
    cv2 = require("cv2", "faces")
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = np.abs(cv2.filter2D(covered @ _LUMINANCE, -1, kernel, borderType=cv2.BORDER_REFLECT))
    return min(float(np.median(response)) / (6 * 0.6745), 0.03)
