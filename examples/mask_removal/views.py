"""The same photo seen otherwise: mirrored, turned, in other light. It stands in for a second photo where there is
none."""

from typing import NamedTuple

import cv2
import numpy as np

from gatedinpaint.faces import mirror_landmarks


class View(NamedTuple):
    """How the second photo differs from the first."""

    mirrored: bool = True
    turn: float = 0.2
    """Shift of the face's middle against its outline as a share of its half width, −0.4…0.4; positive to the right."""
    nod: float = 0.0
    """The same downwards."""
    gain: float = 1.0
    """Factor on all channels."""
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factor on red, green and blue."""
    side_light: float = 0.0
    """The light falls from ``1 − side_light`` on the left to ``1 + side_light`` on the right."""
    blur: float = 0.0
    """Standard deviation in pixels."""


def random_view(rng: np.random.Generator) -> View:
    """Draw a view within the range of real second photos."""
    return View(
        mirrored=bool(rng.random() < 0.7),
        turn=rng.uniform(-0.3, 0.3),
        nod=rng.uniform(-0.12, 0.12),
        gain=rng.uniform(0.75, 1.25),
        tint=tuple(rng.uniform(0.92, 1.08, 3)),
        side_light=rng.uniform(-0.25, 0.25),
        blur=rng.choice([0.0, 0.0, rng.uniform(0.3, 1.2)]),
    )


def seen_otherwise(photo: np.ndarray, landmarks: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return the photo and its landmarks as ``view`` shows them.

    A turn of the head moves what is near the camera, the nose, and leaves the outline: the middle of the face is
    shifted by ``turn`` half widths and the shift falls to 0 with the square of the distance from it.
    """
    if view.mirrored:
        photo, landmarks = photo[:, ::-1], mirror_landmarks(landmarks, photo.shape[1])
    low, high = landmarks.min(0), landmarks.max(0)
    centre, half = (low + high) / 2, (high - low) / 2 * 1.2
    height, width = photo.shape[:2]
    columns = _before_turn((np.arange(width) - centre[0]) / half[0], view.turn) * half[0] + centre[0]
    lines = _before_turn((np.arange(height) - centre[1]) / half[1], view.nod) * half[1] + centre[1]
    x, y = np.meshgrid(columns.astype(np.float32), lines.astype(np.float32))
    turned = cv2.remap(np.ascontiguousarray(photo), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    u = (landmarks - centre) / half
    moved = (u + np.array([view.turn, view.nod]) * np.maximum(0, 1 - u**2)) * half + centre
    light = view.gain * np.array(view.tint) * np.linspace(1 - view.side_light, 1 + view.side_light, width)[:, None]
    lit = (turned * light).clip(0, 255).astype(np.uint8)
    if view.blur:
        lit = cv2.GaussianBlur(lit, (0, 0), view.blur)
    return lit, moved.astype(np.float32)


def _before_turn(u: np.ndarray, turn: float) -> np.ndarray:
    """The inverse of u + turn · (1 − u²) inside −1…1, the identity outside. |turn| < 0.5 keeps it one to one."""
    if abs(turn) < 1e-6:
        return u
    inside = np.abs(u) < 1
    root = np.sqrt(np.where(inside, 1 - 4 * turn * (u - turn), 1.0))
    return np.where(inside, (1 - root) / (2 * turn), u)
