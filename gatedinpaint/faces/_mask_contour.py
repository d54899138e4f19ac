"""The outline of a worn face mask: the best closed path around the mouth, by colour, edges and shape of the face."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatedinpaint._optional import require
from gatedinpaint.faces._colour_density import colour_cells, colour_density, to_lab
from gatedinpaint.faces._face_window import HEIGHT, SIDE, bare_skin, photo_shown
from gatedinpaint.faces._lips import lips_visible
from gatedinpaint.faces.align import AlignedFace
from gatedinpaint.faces.regions import CHIN, mask_polygon

Field = NDArray[np.float64]

# The outline is star-shaped: one radius on each ray from the mouth, within these bounds around the mask polygon.
_RAYS, _STEP = 256, 0.005 * HEIGHT
_OFFSETS: Field = np.arange(-45.0, 56.0) * _STEP
_ANGLES = np.arange(_RAYS) / _RAYS * 2 * np.pi
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], -1)
_UPPER_EDGE = np.sin(_ANGLES) < -0.3  # rays that meet the edge over cheeks and nose

# Colours around the outline differ from place to place (cheek, hair, collar), so each sector has its own density.
_SECTORS = 16
_UPPER_SECTORS = np.sin((np.arange(_SECTORS) + 0.5) / _SECTORS * 2 * np.pi) < 0.35
_ROUNDS = 3
_UNSEEN = 3e-5  # added to densities: a colour seen nowhere says nothing
_NOT_SKIN = 1.0  # how much a colour counts less as one of cloth for being one of the bare skin
_MOST_ODDS = 2.0  # bound of a pixel's log-odds: no pixel decides alone

# Weights of the parts of the cost, and of a jump between neighbouring rays by the largest that is allowed.
_COLOUR, _EDGE, _SHAPE, _JUMP, _LARGEST_JUMP = 5.0, 2.0, 0.35, 0.6, 5
_USUAL_OFFSET, _DEVIATION = -0.02 * HEIGHT, 0.12 * HEIGHT
_MARGIN = 1.25  # the outline runs outside the blurred edge, pixels of the window
_HALF_CONTRAST = 12.0  # a difference in L*a*b* that counts as half an edge


@dataclass(frozen=True, eq=False)
class MaskContour:
    """A closed outline in the window, and how far to trust it."""

    points: Field
    """(256, 2) points (x, y) of the window."""
    clarity: float
    """0 to 1, how clearly a face mask stands out: geometric mean of the contrast in log-odds across the upper edge, of
    the share of the colours inside that the bare skin does not have, and, when no lips are visible, of 1 and 1."""
    plausibility: float
    """0 to 1: the share of its convex hull that the outline fills, to the power of 4, times the square of the share
    of the inside that has rather the colours of the face mask than those around it."""


def find_contour(window: AlignedFace) -> MaskContour:
    """Find the outline in a face window.

    With r the radius on each ray from the mouth, the outline minimises the sum over rays of

        colour · (∫ outside − ∫ inside of the log-odds) − edge · contrast(r) + shape · (r − polygon)² + jump · (Δr)²

    by dynamic programming. The log-odds compare the density of colours inside the outline with that of its surroundings
    and of the bare skin; they and the outline are estimated in turn. Beyond the photo's border there is neither colour
    nor contrast, and the shape alone decides.
    """
    cv2 = require("cv2", "faces")
    points = window.landmarks.astype(np.float64)
    centre = (points[[0, 17, 4, CHIN]].mean(0) + points[[61, 291]].mean(0)) / 2
    shape = np.maximum(_radii(mask_polygon(points, top_shift=0.0).astype(np.float64) - centre), 0.2 * HEIGHT)
    rays = (centre + _DIRECTIONS[:, None] * np.maximum(shape[:, None] + _OFFSETS, 0)[..., None]).astype(np.float32)

    def along_rays(field: NDArray[np.float32]) -> Field:
        sampled: Field = cv2.remap(
            field, rays[..., 0], rays[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float64)
        return sampled

    lab = to_lab(window.photo, blur=1.0)
    shown = photo_shown(window)
    edges = _edges(along_rays(lab)) * (along_rays(shown.astype(np.float32)) > 0.99)
    cost = _SHAPE / 2 * ((_OFFSETS - _USUAL_OFFSET) / _DEVIATION) ** 2 - _EDGE * edges
    cells = colour_cells(lab)
    skin = colour_density(cells[bare_skin(points) & shown])
    y, x = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(x - centre[0], y - centre[1])
    ray = np.round(np.arctan2(y - centre[1], x - centre[0]) / (2 * np.pi) * _RAYS).astype(np.intp) % _RAYS
    sector = ray * _SECTORS // _RAYS

    offset = np.full(_RAYS, -0.03 * HEIGHT)
    for index in range(_ROUNDS):
        beyond = (radius - (shape + offset)[ray]) / HEIGHT
        inside = shown & (beyond < (-0.04 if index else -0.10))  # the polygon is only roughly right
        around = shown & (beyond > 0.05) & (beyond < 0.30)
        odds = along_rays(_log_odds(cells, inside, around, sector, skin) * shown)
        region = (odds / 2 - np.cumsum(odds, 1)) * _STEP / HEIGHT
        path = _closed_path(cost + _COLOUR * region)
        offset = _smooth(_OFFSETS[path], 1.2)

    steps = np.arange(4, 17)
    side = [odds[np.arange(_RAYS)[:, None], (path[:, None] + s * steps).clip(0, len(_OFFSETS) - 1)] for s in (-1, 1)]
    contrast = ((side[0] - side[1]).mean(1) / (2 * _MOST_ODDS))[_UPPER_EDGE].mean()
    own_colour = 1 - np.minimum(colour_density(cells[inside]), skin).sum()
    # Hidden lips speak for a face mask too, and count as much as contrast and colour together.
    clarity = float(max(0.0, contrast) * max(0.0, own_colour)) ** (0.5 if lips_visible(lab, points) else 0.25)
    outline = centre + _DIRECTIONS * (shape + offset + _MARGIN)[:, None]
    area = np.maximum(shape[:, None] + _OFFSETS, 0) * (np.arange(len(_OFFSETS)) <= path[:, None])
    plausibility = _solidity(cv2, outline) ** 4 * float(area[odds >= 0].sum() / area.sum()) ** 2
    return MaskContour(outline, clarity, plausibility)


def _solidity(cv2: Any, outline: Field) -> float:
    """The share of its convex hull that an outline fills. A spike or a bay, which no face mask has, makes it small."""
    corners = outline.astype(np.float32)
    return float(cv2.contourArea(corners) / cv2.contourArea(cv2.convexHull(corners)))


def _radii(polygon: Field) -> Field:
    """Where the rays from the origin leave a polygon around it, smoothed."""
    edge = np.roll(polygon, -1, 0) - polygon
    along = _cross(_DIRECTIONS[:, None], edge[None])
    along = np.where(np.abs(along) < 1e-9, 1e-9, along)
    radius = _cross(polygon, edge)[None] / along
    place = _cross(polygon[None], _DIRECTIONS[:, None]) / along
    hit = (radius > 0) & (place >= 0) & (place <= 1)
    farthest: Field = np.where(hit, radius, 0.0).max(1)
    return _smooth(farthest, 3)


def _cross(first: Field, second: Field) -> Field:
    product: Field = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    return product


def _smooth(values: NDArray[np.floating], sigma: float) -> Field:
    """Values around a circle, blurred by a Gaussian."""
    reach = int(3 * sigma) + 1
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    blurred: Field = np.convolve(np.pad(values, reach, mode="wrap"), weight / weight.sum(), "valid")
    return blurred


def _edges(lab: Field) -> Field:
    """Contrast along each ray, 0 to 1, with less weight on lightness: folds and shadow change it, not the colour."""
    difference = np.zeros(lab.shape[:2])
    difference[:, 1:-1] = np.linalg.norm((lab[:, 2:] - lab[:, :-2]) * (0.7, 1, 1), axis=-1)
    difference = (np.roll(difference, 1, 0) + difference + np.roll(difference, -1, 0)) / 3
    return difference / (difference + _HALF_CONTRAST)


def _log_odds(
    cells: NDArray[np.intp],
    inside: NDArray[np.bool_],
    outside: NDArray[np.bool_],
    sector: NDArray[np.intp],
    skin: Field,
) -> NDArray[np.float32]:
    """For every pixel: log of how much likelier its colour is on the face mask than around it."""
    within = colour_density(cells[inside])
    # Cheek that the outline holds as yet, as on a turned head, has the colours of skin, and is not to pass for cloth.
    own = within**2 / (within + _NOT_SKIN * skin + _UNSEEN)
    cloth = np.log(own / max(float(own.sum()), _UNSEEN) + _UNSEEN)
    surroundings, where = cells[outside], sector[outside]
    around = [surroundings[where == index] for index in range(_SECTORS)]
    odds = np.empty((_SECTORS, len(cloth)), np.float32)
    for index in range(_SECTORS):
        near = np.concatenate([around[index - 1], around[index], around[(index + 1) % _SECTORS]])
        share = 0.4 if _UPPER_SECTORS[index] else 0.15
        other = (1 - share) * colour_density(near) + share * skin
        odds[index] = np.clip(cloth - np.log(other + _UNSEEN), -_MOST_ODDS, _MOST_ODDS)
    return odds[sector, cells]


def _closed_path(cost: Field) -> NDArray[np.intp]:
    """Index on each ray of the cheapest path, by dynamic programming twice around so that its ends meet."""
    rays, choices = cost.shape
    twice = np.roll(np.concatenate([cost, cost]), rays // 2, 0)
    jumps = _JUMP * (np.arange(-_LARGEST_JUMP, _LARGEST_JUMP + 1) / _LARGEST_JUMP) ** 2
    padded = np.full(choices + 2 * _LARGEST_JUMP, np.inf)
    reachable = np.lib.stride_tricks.sliding_window_view(padded, len(jumps))
    best, here = twice[0], np.arange(choices)
    came_from = np.zeros(twice.shape, np.intp)
    for index in range(1, len(twice)):
        padded[_LARGEST_JUMP:-_LARGEST_JUMP] = best
        total = reachable + jumps
        jump = total.argmin(1)
        came_from[index] = here + jump - _LARGEST_JUMP
        best = total[here, jump] + twice[index]
    path = np.zeros(len(twice), np.intp)
    path[-1] = best.argmin()
    for index in range(len(twice) - 1, 0, -1):
        path[index - 1] = came_from[index, path[index]]
    return path[rays // 2 : rays // 2 + rays]
