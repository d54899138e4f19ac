"""The cords of a face mask: thin lines that start at its outline and run towards an ear."""

from typing import Any

import numpy as np

from gatedinpaint._optional import require
from gatedinpaint.faces._face_window import HEIGHT, SIDE, disc
from gatedinpaint.faces.align import AlignedFace
from gatedinpaint.faces.regions import CHIN, FOREHEAD
from gatedinpaint.image import Hole

_EARS = (234, 454)

# Around each ear, in face heights from its landmark: outwards, and down the face.
_OUTWARDS, _DOWN = (-0.25, 0.09), (-0.25, 0.60)
_FARTHEST = 0.22 * HEIGHT  # from the outline
_WIDEST = 3  # a line is what a disc of this radius does not fit into, pixels of the window
_GROWN, _GAP = 1, 4  # a line is widened by the first, and joined to the cloth across twice the second

# Cords are white, or as the cloth: lighter and paler than the skin, ears and hair around them.
_LINE_CONTRAST = 16.0  # in L* and chroma together
_LIGHT, _COLOURLESS, _AS_CLOTH = 54.0, 28.0, 12.0
_DARK_CLOTH, _DARKER = 35.0, 18.0  # the cords of cloth darker than the first are darker than around them by the second


def find_ear_loops(window: AlignedFace, cloth: Hole) -> Hole:
    """Find cords in a face window, (SIDE, SIDE), given the pixels of the cloth; often a part of them, or nothing.

    The narrow gap between a cord and the cloth counts as cord.
    """
    cv2 = require("cv2", "faces")
    lab = cv2.cvtColor(window.photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness, colour = lab[..., 0], lab[..., 1:]
    chroma = np.linalg.norm(colour, axis=-1)
    usual = np.median(lab[cloth], axis=0)
    lighter = cv2.morphologyEx(lightness, cv2.MORPH_TOPHAT, disc(_WIDEST))
    lines = lighter + cv2.morphologyEx(chroma, cv2.MORPH_BLACKHAT, disc(_WIDEST)) > _LINE_CONTRAST
    lines &= lightness > _LIGHT
    lines &= (chroma < _COLOURLESS) | (np.linalg.norm(colour - usual[1:], axis=-1) < _AS_CLOTH)
    if usual[0] < _DARK_CLOTH:
        darker = cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, disc(_WIDEST)) > _DARKER
        lines |= darker & (lightness < usual[0] + 15)

    from_cloth = cv2.distanceTransform((~cloth).astype(np.uint8), cv2.DIST_L2, 3)
    lines &= ~cloth & (from_cloth < _FARTHEST)
    found = np.zeros((SIDE, SIDE), np.uint8)
    for zone in _ear_zones(window):
        found |= _lines_from(cv2, lines & zone, from_cloth)
    if not found.any():
        return found.astype(bool)
    joined = cv2.morphologyEx(cv2.dilate(found, disc(_GROWN)) | cloth, cv2.MORPH_CLOSE, disc(_GAP))
    loops: Hole = (joined > 0) & ~cloth
    return loops


def _ear_zones(window: AlignedFace) -> list[Hole]:
    points = window.landmarks.astype(np.float64)
    y, x = np.mgrid[:SIDE, :SIDE]
    down = (points[CHIN] - points[FOREHEAD]) / HEIGHT
    zones = []
    for ear, other in (_EARS, _EARS[::-1]):
        out = points[ear] - points[other]
        out /= max(float(np.linalg.norm(out)), 1e-6)
        dx, dy = (x - points[ear, 0]) / HEIGHT, (y - points[ear, 1]) / HEIGHT
        across, along = dx * out[0] + dy * out[1], dx * down[0] + dy * down[1]
        zones.append(
            (across > _OUTWARDS[0]) & (across < _OUTWARDS[1]) & (along > _DOWN[0]) & (along < _DOWN[1]),
        )
    return zones


def _lines_from(cv2: Any, lines: Hole, from_cloth: Any) -> Any:
    """The connected pieces that touch the cloth, lead away from it, and are long and narrow."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lines.astype(np.uint8))
    chosen = np.zeros(lines.shape, np.uint8)
    for label in range(1, count):
        area = int(stats[label, cv2.CC_STAT_AREA])
        length = float(np.hypot(stats[label, cv2.CC_STAT_WIDTH], stats[label, cv2.CC_STAT_HEIGHT]))
        if area < 20 or length < 0.08 * HEIGHT or area > 6 * length:
            continue
        piece = labels == label
        distances = from_cloth[piece]
        if distances.min() <= 5 and distances.max() >= 0.05 * HEIGHT:
            chosen[piece] = 1
    return chosen
