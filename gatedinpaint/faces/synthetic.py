"""Draw a worn surgical mask onto a photo, with the exact pixels that it covers."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces.regions import check_landmarks, face_height
from gatedinpaint.image import Hole, Photo, check_photo
from gatedinpaint.warp import ThinPlateSpline

Style = Literal["surgical"]
Points = NDArray[np.float64]
Field = NDArray[np.float32]

COLORS = {
    "blue": (172, 207, 228),
    "white": (236, 237, 240),
    "green": (136, 208, 186),
    "black": (44, 44, 48),
    "pink": (238, 186, 200),
}
"""Colours of :func:`draw_face_mask` by name, RGB of the cloth in full light."""


def draw_face_mask(
    photo: Photo,
    landmarks: NDArray[np.floating],
    *,
    style: Style = "surgical",
    color: str | tuple[int, int, int] = "blue",
    seed: int = 0,
    ear_loops: bool = True,
) -> tuple[Photo, Hole]:
    """Draw a worn surgical mask: cloth stretched over nose and chin, with pleats, hems, a nose wire and ear loops.

    The cloth has coordinates of its own, u from ear to ear and v from the nose down to the chin, which a thin-plate
    spline finds for every pixel; pleats, hems and texture are drawn there and so follow the turn of the head. The light
    is that of the photo: the blurred luminance of the skin underneath.

    Args:
        photo: uint8 RGB (H, W, 3); not changed.
        landmarks: (478, 2) points (x, y) in pixels of ``photo``.
        style: only ``"surgical"`` so far.
        color: a name in :data:`COLORS`, or RGB from 0 to 255.
        seed: varies the height on the nose, the width, the tilt, the pleats and the texture.
        ear_loops: draw the cords towards the ears.

    Returns:
        The photo with the face mask, and ``hole``: bool (H, W), True exactly where the face mask contributes. Every
        other pixel is that of ``photo``.

    Raises:
        ValueError: an unknown style or color, a photo that is not uint8 (H, W, 3), landmarks that are not (478, 2).
        ImportError: OpenCV is not installed.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> photo = astronaut()
        >>> masked, hole = draw_face_mask(photo, FaceLandmarker().detect(photo)[0].landmarks, color="green")
        >>> bool((masked[~hole] == photo[~hole]).all())
        True
    """
    if style not in get_args(Style):
        raise ValueError(f"style must be one of {', '.join(get_args(Style))}; got {style!r}.")
    cv2 = require("cv2", "faces")
    photo, points, cloth = check_photo(photo), check_landmarks(landmarks), _rgb(color)
    unit, rng = face_height(points), np.random.default_rng(seed)
    net, coordinates = _control_net(points, rng)
    outline, cords = _outline(net, points), _cords(net, points) if ear_loops else []

    # Everything below happens in the rectangle around the drawing.
    extent = np.concatenate([outline, *cords])
    left, top = np.maximum(np.floor(extent.min(0)).astype(int) - 3, 0)
    right, bottom = np.minimum(np.ceil(extent.max(0)).astype(int) + 4, photo.shape[1::-1])
    hole = np.zeros(photo.shape[:2], dtype=bool)
    if left >= right or top >= bottom:
        return photo.copy(), hole
    origin, size = np.array([left, top]), (int(bottom - top), int(right - left))
    covered = photo[top:bottom, left:right].astype(np.float32) / 255

    body = _coverage([outline - origin], size, unit, thickness=None)
    loops = _coverage([cord - origin for cord in cords], size, unit, thickness=0.014 * unit)
    # Fields that change slowly are computed on a coarse grid, about 128 cells along the face.
    step = max(1.0, unit / 128)
    coarse = (math.ceil(size[0] / step), math.ceil(size[1] / step))
    light = _light(
        cv2.resize(covered, coarse[::-1], interpolation=cv2.INTER_AREA),
        cv2.resize(body, coarse[::-1], interpolation=cv2.INTER_AREA),
        sigma=0.13 * unit / step,
    )
    spline = ThinPlateSpline.fit(
        torch.from_numpy((net - origin) / unit), torch.from_numpy(coordinates), regularization=3e-2
    )
    scale = np.array(size) / coarse
    y, x = np.mgrid[: coarse[0], : coarse[1]]
    pixels = np.stack([(x + 0.5) * scale[1] - 0.5, (y + 0.5) * scale[0] - 0.5], -1).reshape(-1, 2) / unit
    uv = spline(torch.from_numpy(pixels)).numpy().reshape(*coarse, 2).astype(np.float32)
    uv, light = (cv2.resize(field, size[::-1], interpolation=cv2.INTER_LINEAR) for field in (uv, light))

    relief = _relief(uv[..., 0], uv[..., 1], rng, pixel=1.6 / unit)
    drawn = cloth * light * relief[..., None] + 0.02 * relief[..., None]
    cord = (0.35 * cloth + 0.6 * _rgb("white")) * light
    blended = covered + loops[..., None] * (cord - covered)
    blended += body[..., None] * (drawn - blended)

    touched = np.maximum(body, loops) > 0
    result = photo.copy()
    result[top:bottom, left:right][touched] = np.round(np.clip(blended, 0, 1)[touched] * 255).astype(np.uint8)
    hole[top:bottom, left:right] = touched
    return result, hole


def _rgb(color: str | Sequence[int]) -> Field:
    if isinstance(color, str) and color not in COLORS:
        raise ValueError(f"color must be one of {', '.join(COLORS)}, or RGB from 0 to 255; got {color!r}.")
    rgb = np.array(COLORS[color] if isinstance(color, str) else color, dtype=np.float32)
    if rgb.shape != (3,) or not ((rgb >= 0) & (rgb <= 255)).all():
        raise ValueError(f"color must be one of {', '.join(COLORS)}, or RGB from 0 to 255; got {color!r}.")
    return rgb / np.float32(255)


def _control_net(points: Points, rng: np.random.Generator) -> tuple[Points, Points]:
    """Where known places (u, v) of the cloth lie in the photo: (17, 2) pixels and (17, 2) coordinates.

    u runs from −1 to 1 from the photo's left to its right, v from 0 at the nose to 1 below the chin.
    """
    height, width, chin, tilt = rng.uniform((0.0, 0.0, 0.03, -3.0), (1.0, 1.0, 0.08, 3.0))
    down = (points[152] - points[10]) * chin

    def mix(first: int, second: int, amount: float) -> Points:
        between: Points = points[first] + amount * (points[second] - points[first])
        return between

    bridge = mix(6, 5, 0.10 + 0.35 * height)
    inwards = 0.08 + 0.10 * width
    rows: list[tuple[float, float, Points]] = [
        (0, 0, bridge),
        (0, 0.42, mix(4, 1, 0.5)),
        (0, 0.72, points[17]),
        (0, 1, points[152] + down),
    ]
    # The same for both sides of the photo: cheek below the eye, side of the face, jaw, cheek beside the mouth.
    for side, eye, ear, upper, lower, jaw, cheek, beside in (
        (-1, 118, 234, 93, 172, 149, 50, 205),
        (1, 347, 454, 323, 397, 378, 280, 425),
    ):
        corner = mix(ear, upper, 0.4) + inwards * (points[cheek] - points[upper])
        bottom = mix(lower, beside, 0.5 * inwards) + 0.5 * down
        rows += [
            (side, 0, corner),
            (side, 0.43, (corner + bottom) / 2 + 0.06 * (points[upper] - points[cheek])),
            (side, 0.86, bottom),
            (side * 0.5, 0.02, 0.5 * mix(eye, cheek, 0.35) + 0.25 * (bridge + corner)),
            (side * 0.5, 0.52, points[beside]),
            (side * 0.55, 1, points[jaw] + 0.95 * down),
        ]
    net = np.array([place for _, _, place in rows])
    angle = math.radians(tilt)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = net.mean(0)
    turned: Points = (net - centre) @ turn.T + centre
    return turned, np.array([(u, v) for u, v, _ in rows], dtype=np.float64)


def _outline(net: Points, points: Points) -> Points:
    """Smooth closed outline of the cloth. On a turned head nose or chin may stand out beyond the far side."""
    cv2 = require("cv2", "faces")
    nose, _, _, chin, *sides = net
    (tl, ml, bl, el, _, jl), (tr, mr, br, er, _, jr) = sides[:6], sides[6:]
    lines = [
        _smooth([tl, el, nose, er, tr]),
        _smooth([tr, mr, br]),
        _smooth([br, jr, chin, jl, bl]),
        _smooth([bl, ml, tl]),
    ]
    outline = np.concatenate(lines)
    tent = cv2.convexHull(np.array([tl, tr, bl, br, chin, points[1], points[4], points[17]], dtype=np.float32))[:, 0]
    size = np.ceil(np.maximum(outline.max(0), tent.max(0)) - np.minimum(outline.min(0), tent.min(0))).astype(int) + 3
    origin = np.minimum(outline.min(0), tent.min(0)) - 1
    filled = np.zeros((size[1] * 4, size[0] * 4), dtype=np.uint8)
    for line in (outline, tent):
        cv2.fillPoly(filled, [np.round((line - origin) * 64).astype(np.int32)], 1, shift=4)
    contours, _ = cv2.findContours(filled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    union: Points = max(contours, key=cv2.contourArea)[:, 0] / 4 + origin
    return union


def _smooth(places: Sequence[Points]) -> Points:
    """Points along a Catmull-Rom curve through the places."""
    p = np.array([2 * places[0] - places[1], *places, 2 * places[-1] - places[-2]])
    t = np.linspace(0, 1, 24)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    joined: Points = curve.transpose(1, 0, 2).reshape(-1, 2)
    return joined


def _cords(net: Points, points: Points) -> list[Points]:
    """Curves from the cloth's corners to the ears; none on a side that is turned away."""
    cords = []
    width = np.linalg.norm(points[454] - points[234])
    for first, ear, eye, lobe in ((4, 234, 127, 132), (10, 454, 356, 361)):
        outwards = points[ear] - points[4]
        near = np.linalg.norm(outwards) / width - 0.3  # about 0.2 seen from the front, 0 when the ear is hidden
        if near <= 0.05:
            continue
        out = 0.22 * near * outwards
        for corner, end, sag in (
            (net[first], 0.5 * (points[ear] + points[eye]), -0.01),
            (net[first + 2], 0.6 * points[ear] + 0.4 * points[lobe], 0.05),
        ):
            goal = end + out
            middle = (corner + goal) / 2 + sag * (points[152] - points[10])
            cords.append(_smooth([corner, middle, goal]))
    return cords


def _coverage(curves: Sequence[Points], size: tuple[int, int], unit: float, *, thickness: float | None) -> Field:
    """Share of every pixel, 0 to 1, that filled outlines or (with a thickness in pixels) lines cover."""
    cv2 = require("cv2", "faces")
    factor = int(np.clip(round(1000 / unit), 1, 4))
    fine = np.zeros((size[0] * factor, size[1] * factor), dtype=np.uint8)
    fixed = [np.round(((curve + 0.5) * factor - 0.5) * 16).astype(np.int32) for curve in curves]
    if thickness is None:
        cv2.fillPoly(fine, fixed, 255, lineType=cv2.LINE_AA, shift=4)
    else:
        cv2.polylines(fine, fixed, False, 255, max(1, round(thickness * factor)), lineType=cv2.LINE_AA, shift=4)
    covered = cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA)
    share: Field = covered.astype(np.float32) / np.float32(255)
    return share


def _light(skin: Field, weight: Field, *, sigma: float) -> Field:
    """Light (h, w, 3) on the cloth: luminance of the skin, blurred within the cloth, with a breath of its colour."""
    cv2 = require("cv2", "faces")

    def blur(field: Any) -> Any:
        return cv2.GaussianBlur(field, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)

    inside = weight + 1e-4
    luminance = skin @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    mean = float((luminance * inside).sum() / inside.sum())
    direction = np.clip(blur(luminance * inside) / blur(inside) / (mean + 1e-3), 0.5, 1.5) ** 0.8
    # Skin reflects between a tenth and two thirds of the light, so its mean tells the exposure only in part.
    exposure = float(np.clip(0.55 + 0.65 * mean, 0.55, 1.0))
    tint = (skin * inside[..., None]).sum((0, 1)) / inside.sum() / (mean + 1e-3)
    light: Field = (exposure * direction)[..., None] * (1 + 0.08 * (np.clip(tint, 0.5, 1.6) - 1))
    return light.astype(np.float32)


def _relief(u: Field, v: Field, rng: np.random.Generator, *, pixel: float) -> Field:
    """Brightness of the cloth around 1: its bulge, the steps of the pleats, hems, nose wire, wrinkles and weave."""
    cv2 = require("cv2", "faces")
    relief = 1.03 - 0.16 * np.abs(u) ** 2.5 - 0.10 * np.clip(v - 0.72, 0, 1) / 0.28 - 0.05 * np.exp(-((v / 0.12) ** 2))

    def line(distance: Any, width: float) -> Any:
        return np.exp(-((distance / max(width, pixel)) ** 2))

    count = int(rng.integers(2, 5))
    for index, place in enumerate(np.linspace(0.33, 0.80, count) + rng.uniform(-0.03, 0.03, count)):
        # Gathered at the sides: the pleats part in the middle and come together towards the ears.
        below = v - place - (0.5 - place) * 0.35 * u**2 - 0.01 * np.sin(3 * u + index)
        strength = rng.uniform(0.8, 1.2) * (0.75 + 0.25 * np.abs(u))
        lip = 1 / (1 + np.exp(-np.clip(below / (0.5 * max(0.006, pixel)), -30, 30)))
        relief -= strength * lip * (0.17 * np.exp(-np.abs(below) / 0.022) + 0.05 * np.exp(-np.abs(below) / 0.09))
        relief += strength * (1 - lip) * 0.07 * np.exp(-np.abs(below) / 0.03)
    relief -= 0.07 * line(v - 0.075, 0.006) + 0.06 * line(v - 0.95, 0.006) + 0.07 * line(np.abs(u) - 0.93, 0.01)
    relief += 0.07 * line(v - 0.04, 0.014) * (np.abs(u) < 0.4)

    for cells, amount in ((9, 0.035), (220, 0.010)):
        noise = rng.standard_normal((cells, cells)).astype(np.float32)
        x, y = (u + 1.2) / 2.4 * (cells - 1), (v + 0.2) / 1.4 * (cells - 1)
        relief += amount * cv2.remap(noise, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    result: Field = relief.astype(np.float32)
    return result
