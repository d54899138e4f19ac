"""Where a drawn face mask lies in the photo: its net of cloth coordinates, its outline, its ear loops."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces.regions import CHIN, FOREHEAD, MIRROR, face_height

MaskStyle = Literal["surgical", "ffp2", "cloth", "black"]
"""Kinds of worn face masks that :func:`~gatedinpaint.faces.draw_face_mask` draws."""
Points = NDArray[np.float64]


class _Cut(NamedTuple):
    """How a style is cut and worn: the ranges a seed draws from. Lengths are in face heights."""

    nose: tuple[float, float]  # upper edge on the nose: 0 at its root, 1 at its tip
    top: tuple[float, float]  # upper corner along _SIDE: 0 at the ear, 5 below the jaw's angle
    bottom: tuple[float, float]  # lower corner, likewise
    inset: tuple[float, float]  # corners: 0 at the side of the face, 1 on the cheek
    chin: tuple[float, float]  # how far the cloth hangs below the chin
    roundness: float  # lower edge: 0 runs straight to the chin, 1 follows the jaw
    ridge: float  # how far the middle stands off the face, seen on a turned head
    loop: tuple[float, float]  # width of the ear loops, at the cloth and at the ear


_CUTS: dict[MaskStyle, _Cut] = {
    "surgical": _Cut((0.20, 0.65), (0.1, 0.7), (4.0, 4.9), (0.05, 0.40), (0.02, 0.07), 1.0, 0.06, (0.016, 0.014)),
    "ffp2": _Cut((0.15, 0.50), (0.8, 1.4), (2.0, 2.8), (0.10, 0.40), (0.05, 0.10), 0.6, 0.22, (0.014, 0.012)),
    "cloth": _Cut((0.20, 0.60), (0.3, 1.0), (2.4, 3.5), (0.05, 0.40), (0.03, 0.08), 0.9, 0.12, (0.022, 0.014)),
    "black": _Cut((0.20, 0.60), (0.3, 0.9), (1.9, 2.6), (0.00, 0.25), (0.03, 0.08), 0.8, 0.12, (0.050, 0.016)),
}

# Landmarks of one side from the ear down to the jaw, on the contour of the face and on the cheek beside it.
_SIDE = (234, 93, 132, 58, 172, 136)
_CHEEK = (117, 50, 207, 214, 135, 169)


class Shape(NamedTuple):
    """A worn face mask in the pixels of the photo."""

    net: Points
    """(17, 2) places of the cloth whose coordinates are known."""
    coordinates: Points
    """(17, 2) coordinates (u, v) of the net: u from −1 to 1 from the photo's left to its right, v from 0 at the nose to
    1 below the chin."""
    outlines: list[Points]
    """Closed curves; together they cover the cloth."""
    loops: list[Points]
    """Closed curves around the ear loops."""


def mask_shape(points: Points, *, style: MaskStyle, seed: int, ear_loops: bool) -> Shape:
    """Fit a style to a face. The loops draw nothing from the seed: with or without, the cloth is the same."""
    if np.linalg.norm(points[454] - points[234]) < 0.05 * face_height(points):
        raise ValueError("landmarks must be those of a face; got both ears (234 and 454) in one place.")
    rng = np.random.default_rng((seed, 0))
    cut = _CUTS[style]
    nose, top, bottom, inset, chin = (rng.uniform(*bounds) for bounds in cut[:5])
    tilt = math.radians(rng.uniform(-3, 3))
    down = points[CHIN] - points[FOREHEAD]

    # Where the nose stands off the middle between the ears, across the face's axis: 0 from the front.
    across = np.array([down[1], -down[0]]) / np.linalg.norm(down)
    facing = across * ((points[4] - (points[234] + points[454]) / 2) @ across)
    ridge = cut.ridge * facing

    bridge = points[6] + nose * (points[4] - points[6])
    below = points[CHIN] + chin * down + 0.5 * ridge
    rows: list[tuple[float, float, Points]] = [
        (0, 0, bridge),
        (0, 0.30, (points[4] + points[1]) / 2 + ridge),
        (0, 0.66, points[17] + ridge),
        (0, 1, below),
    ]
    for side in (-1, 1):
        own = points if side < 0 else points[MIRROR]  # landmarks are numbered alike on both sides
        upper, lower = _beside(own, top, inset), _beside(own, bottom, 0.7 * inset) + 0.5 * chin * down
        middle = _beside(own, (top + bottom) / 2, 0.7 * inset)
        jaw = cut.roundness * (own[149] + 0.95 * chin * down) + (1 - cut.roundness) * (0.45 * lower + 0.55 * below)
        rows += [
            (side, 0, upper),
            (side, 0.43, middle),
            (side, 0.86, lower),
            (side * 0.5, 0.02, 0.325 * own[118] + 0.175 * own[50] + 0.25 * (bridge + upper)),
            (side * 0.5, 0.28, own[205] + 0.5 * ridge),
            (side * 0.55, 1, jaw),
        ]
    net = np.array([place for _, _, place in rows])
    turn = np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    net = (net - net.mean(0)) @ turn.T + net.mean(0)
    coordinates = np.array([(u, v) for u, v, _ in rows], dtype=np.float64)
    loops = _loops(net, points, cut.loop) if ear_loops else []
    return Shape(net, coordinates, _outlines(net, points, ridge, facing), loops)


def _beside(points: Points, along: float, inset: float) -> Points:
    """The point of one side, ``along`` from the ear (0) to the jaw (5) and ``inset`` from the contour to the cheek."""
    first = min(int(along), len(_SIDE) - 2)
    contour, cheek = points[list(_SIDE[first : first + 2])], points[list(_CHEEK[first : first + 2])]
    start, end = contour + inset * (cheek - contour)
    between: Points = start + (along - first) * (end - start)
    return between


def _outlines(net: Points, points: Points, ridge: Points, facing: Points) -> list[Points]:
    """The edge of the cloth, and what stands out beyond it on the far side of a turned head: nose, cheek and chin."""
    cv2 = require("cv2", "faces")
    nose, _, _, chin, *sides = net
    (tl, ml, bl, el, _, jl), (tr, mr, br, er, _, jr) = sides[:6], sides[6:]
    edge = [
        _smooth([tl, el, nose, er, tr]),
        _smooth([tr, mr, br]),
        _smooth([br, jr, chin, jl, bl]),
        _smooth([bl, ml, tl]),
    ]
    standing = [points[index] + ridge for index in (1, 4, 17)]
    tents = [[tl, tr, bl, br, chin, *standing, *points[[50, 280, 214, 434]]]]
    if np.linalg.norm(facing) > 0.1 * face_height(points):
        # Turned: between the nose and the far cheek the upper edge is stretched straight.
        corner, foot = (tr, br) if facing @ (points[454] - points[234]) > 0 else (tl, bl)
        tents.append([nose, corner, foot, chin, *standing])
    hulls = [cv2.convexHull(np.array(tent, dtype=np.float32))[:, 0].astype(np.float64) for tent in tents]
    return [np.concatenate(edge), *hulls]


def _smooth(places: Sequence[Points]) -> Points:
    """Points along a Catmull-Rom curve through the places."""
    p = np.array([2 * places[0] - places[1], *places, 2 * places[-1] - places[-2]])
    t = np.linspace(0, 1, 24)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    joined: Points = curve.transpose(1, 0, 2).reshape(-1, 2)
    return joined


def _loops(net: Points, points: Points, widths: tuple[float, float]) -> list[Points]:
    """Bands from the cloth's corners to the roots of the ears; none on a side that is turned away."""
    loops = []
    unit, down = face_height(points), points[CHIN] - points[FOREHEAD]
    width = np.linalg.norm(points[454] - points[234])
    for first, own in ((4, points), (10, points[MIRROR])):
        outwards = own[234] - points[4]
        length = np.linalg.norm(outwards)
        near = min(float(length / width) - 0.3, 1.0)  # about 0.2 seen from the front, 0 when the ear is hidden
        if near <= 0.05:
            continue
        behind = (0.015 + 0.05 * near) * unit * outwards / length  # where the ear hides the rest
        for corner, root, sag in (
            (net[first], 0.4 * own[234] + 0.6 * own[127], -0.04),
            (net[first + 2], 0.5 * own[93] + 0.5 * own[132], 0.10),
        ):
            start, end = corner + 0.15 * (own[205] - corner), root + behind  # the cloth hides the start
            middle = (start + end) / 2 + sag * np.linalg.norm(end - start) / unit * down
            curve = _smooth([start, middle, end])
            along = np.gradient(curve, axis=0)
            normal = np.stack([-along[:, 1], along[:, 0]], -1) / np.linalg.norm(along, axis=1, keepdims=True)
            half = 0.5 * unit * np.linspace(*widths, len(curve))[:, None] * normal
            loops.append(np.concatenate([curve + half, (curve - half)[::-1]]))
    return loops
