"""The cloth of a drawn face mask in its own coordinates: folds, seams, hems and sheen of every style, and patterns."""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from gatedinpaint._optional import require
from gatedinpaint.faces._mask_layers import Field, Layers
from gatedinpaint.faces._mask_shape import MaskStyle, Shape
from gatedinpaint.warp import ThinPlateSpline

MaskPattern = Literal["plain", "stripes", "dots", "checks"]
"""What is woven into or printed on a cloth face mask."""
_FINEST = 512  # cells along the face in which folds are drawn; larger faces enlarge them, at bounded cost


class Cloth(NamedTuple):
    """Coordinates of every pixel on the cloth, see :class:`~gatedinpaint.faces._mask_shape.Shape`."""

    u: Any
    v: Any
    pixel: float
    """Size of a pixel in v: nothing finer is drawn."""
    rng: np.random.Generator

    def line(self, distance: Any, width: float) -> Any:
        """1 where the distance is 0, falling off within a width; one narrower than a pixel is fainter, not jagged."""
        drawn = max(width, self.pixel)
        return (width / drawn) * np.exp(-((distance / drawn) ** 2))

    def step(self, distance: Any, width: float) -> Any:
        """From 0 to 1 where the distance changes its sign."""
        return 1 / (1 + np.exp(-np.clip(distance / (0.5 * max(width, self.pixel)), -30, 30)))

    def noise(self, across: int, down: int) -> Any:
        """Smooth noise of deviation 1 with so many cells over the cloth."""
        cv2 = require("cv2", "faces")
        values = self.rng.standard_normal((down, across)).astype(np.float32)
        x, y = (self.u + 1.2) / 2.4 * (across - 1), (self.v + 0.2) / 1.4 * (down - 1)
        return cv2.remap(values, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def woven(
    shape: Shape, layers: Layers, unit: float, style: MaskStyle, pattern: MaskPattern, rng: np.random.Generator
) -> tuple[Field, Field]:
    """Brightness and share of the second colour, (H, W) each, in the box of the layers."""
    cv2 = require("cv2", "faces")
    size = layers.cloth.shape
    origin = np.array([layers.left, layers.top])
    spline = ThinPlateSpline.fit(
        torch.from_numpy((shape.net - origin) / unit), torch.from_numpy(shape.coordinates), regularization=3e-2
    )

    def grid(cells: float) -> tuple[int, int]:
        step = max(1.0, unit / cells)
        return max(1, round(size[0] / step)), max(1, round(size[1] / step))

    # The spline is smooth: it is evaluated coarsely. Folds are finer, but a few hundred cells show all of them.
    coarse, fine = grid(40), grid(_FINEST)
    y, x = np.mgrid[: coarse[0], : coarse[1]]
    scale = np.array(size) / coarse
    places = np.stack([(x + 0.5) * scale[1] - 0.5, (y + 0.5) * scale[0] - 0.5], -1).reshape(-1, 2) / unit
    uv = spline(torch.from_numpy(places)).numpy().reshape(*coarse, 2).astype(np.float32)
    u, v = (cv2.resize(uv[..., axis], fine[::-1], interpolation=cv2.INTER_LINEAR) for axis in (0, 1))
    cloth = Cloth(u, v, 1.6 / min(unit, _FINEST), rng)
    fields = _relief(cloth, style), _pattern_share(cloth, pattern)
    shade, share = (cv2.resize(field, size[::-1], interpolation=cv2.INTER_LINEAR) for field in fields)
    return shade, share


def _relief(cloth: Cloth, style: MaskStyle) -> Field:
    """Brightness of the cloth around 1: how its bulge, folds, seams and weave take the light."""
    draw = {"surgical": _surgical, "ffp2": _ffp2, "cloth": _sewn, "black": _sponge}[style]
    bulge = 1.03 - 0.16 * np.abs(cloth.u) ** 2.5 - 0.10 * np.clip(cloth.v - 0.72, 0, 1) / 0.28
    shaded: Field = np.clip(bulge + draw(cloth), 0.3, 1.4).astype(np.float32)
    return shaded


def _surgical(cloth: Cloth) -> Any:
    """Two to four pleats gathered at the sides, a nose wire, stitched hems."""
    u, v, rng = cloth.u, cloth.v, cloth.rng
    shade = -0.05 * np.exp(-((v / 0.12) ** 2))
    count = int(rng.integers(2, 5))
    for index, place in enumerate(np.linspace(0.30, 0.78, count) + rng.uniform(-0.03, 0.03, count)):
        # Gathered at the sides: the pleats part in the middle and come together towards the ears.
        below = v - place - (0.5 - place) * 0.35 * u**2 - 0.01 * np.sin(3 * u + index)
        lip = cloth.step(below, 0.006)
        strength = rng.uniform(0.8, 1.3) * (0.75 + 0.25 * np.abs(u))
        shade -= strength * lip * (0.17 * np.exp(-np.abs(below) / 0.022) + 0.05 * np.exp(-np.abs(below) / 0.09))
        shade += strength * (1 - lip) * 0.07 * np.exp(-np.abs(below) / 0.03)
    # A hem of double cloth is lighter, and its stitches are short.
    stitches = 0.5 + 0.5 * np.sign(np.sin(150 * u)) * (cloth.pixel < 0.01)
    shade += 0.03 * (cloth.step(0.085 - v, 0.006) + cloth.step(v - 0.94, 0.006) + cloth.step(np.abs(u) - 0.92, 0.01))
    shade -= 0.09 * stitches * cloth.line(v - 0.085, 0.006) + 0.07 * stitches * cloth.line(v - 0.94, 0.006)
    shade -= 0.09 * cloth.line(np.abs(u) - 0.92, 0.012)
    shade += 0.07 * cloth.line(v - 0.045, 0.016) * (np.abs(u) < 0.4)
    return shade + 0.035 * cloth.noise(9, 9) + 0.015 * cloth.noise(5, 30) + 0.010 * cloth.noise(220, 220)


def _ffp2(cloth: Cloth) -> Any:
    """Folded flat along a vertical seam: two plane halves, welded edges, embossed lines, a nose clip."""
    u, v, rng = cloth.u, cloth.v, cloth.rng
    halves = rng.uniform(0.03, 0.07) * float(rng.choice((-1, 1)))  # the light is never quite from the front
    shade = halves * (2 * cloth.step(u, 0.03) - 1) * np.exp(-np.abs(u) / 0.8)
    shade += 0.08 * cloth.line(u, 0.012) - 0.12 * cloth.line(np.abs(u) - 0.035, 0.012)
    rim = np.minimum(np.minimum(v - 0.035, 0.965 - v), 0.95 - np.abs(u))
    dots = 0.6 + 0.4 * np.sin(120 * (u + v)) * (cloth.pixel < 0.012)
    shade += 0.04 * cloth.step(-rim, 0.01) - 0.13 * dots * cloth.line(rim, 0.010)
    for start, bend in ((rng.uniform(0.22, 0.30), 0.16), (rng.uniform(0.68, 0.76), -0.10)):
        along = v - start - bend * u**2
        shade += 0.05 * cloth.line(along + 0.012, 0.010) - 0.09 * cloth.line(along, 0.008)
    clip = cloth.line(v - 0.13 + 0.05 * u**2, 0.020) * cloth.step(0.24 - np.abs(u), 0.02)
    shade += float(rng.choice((-0.22, 0.06))) * clip
    return shade + 0.030 * cloth.noise(6, 6) + 0.020 * np.abs(cloth.noise(7, 5)) + 0.008 * cloth.noise(240, 240)


def _sewn(cloth: Cloth) -> Any:
    """Woven cloth with a bound edge, soft wrinkles, and a seam down the middle or two folds across."""
    u, v, rng = cloth.u, cloth.v, cloth.rng
    if rng.random() < 0.6:
        shade = -0.16 * cloth.line(u - 0.02 * np.sin(3 * v), 0.012) + 0.05 * cloth.line(np.abs(u) - 0.05, 0.03)
    else:
        folds = [v - place - 0.05 * u**2 for place in rng.uniform((0.35, 0.60), (0.45, 0.72))]
        shade = sum(-0.14 * cloth.step(fold, 0.01) * np.exp(-np.abs(fold) / 0.03) for fold in folds)
    rim = np.minimum(np.minimum(v - 0.055, 0.95 - v), 0.94 - np.abs(u))
    shade = shade - 0.14 * cloth.line(rim, 0.010) + 0.04 * cloth.line(rim + 0.025, 0.02)
    # Wrinkles run from the corners, where the loops pull, towards the nose.
    pulled = cloth._replace(v=v - 0.25 * np.abs(u))
    return shade + 0.030 * pulled.noise(4, 14) + 0.045 * cloth.noise(7, 6) + 0.025 * cloth.noise(180, 180)


def _sponge(cloth: Cloth) -> Any:
    """Stretched foam, smooth: a faint seam down the middle and light along the ridge of nose and cheeks."""
    u, v, rng = cloth.u, cloth.v, cloth.rng
    shade = -0.12 * cloth.line(u, 0.010) + 0.05 * cloth.line(np.abs(u) - 0.03, 0.02)
    for place in (-1, 1):
        shade = shade + 0.16 * np.exp(-(((u - 0.3 * place) / 0.22) ** 2) - ((v - rng.uniform(0.22, 0.32)) / 0.20) ** 2)
    return shade - 0.08 * np.abs(u) + 0.020 * cloth.noise(5, 5) + 0.020 * cloth.noise(260, 260)


def _pattern_share(cloth: Cloth, pattern: MaskPattern) -> Field:
    """Share (H, W) of the second colour, 0 to 1."""
    u, v, rng = cloth.u, cloth.v, cloth.rng
    if pattern == "plain":
        return np.zeros(u.shape, dtype=np.float32)
    angle = float(rng.choice((0, 0, math.pi / 2, math.pi / 4) if pattern == "stripes" else (0, math.pi / 4)))
    count = rng.uniform(7, 14) / 2
    x, y = u, 1.9 * (v - 0.5)  # on the face a unit of v is about as long as 1.9 units of u
    x, y = count * (math.cos(angle) * x + math.sin(angle) * y), count * (math.cos(angle) * y - math.sin(angle) * x)
    soft = 1.5 * count * cloth.pixel
    if pattern == "stripes":
        share = cloth.step(np.sin(2 * np.pi * x) - rng.uniform(-0.3, 0.6), 4 * soft)
    elif pattern == "checks":
        warp, weft = (cloth.step(np.sin(2 * np.pi * along), 4 * soft) for along in (x, y))
        share = 0.5 * (warp + weft)  # gingham: where both threads are dyed the colour is full
    else:
        radius = rng.uniform(0.18, 0.30)
        row = np.round(y / 0.5)
        share = cloth.step(radius - np.hypot((x + 0.5 * (row % 2)) % 1 - 0.5, y - 0.5 * row), soft)
    dyed: Field = share.astype(np.float32)
    return dyed
