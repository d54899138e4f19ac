"""Draw a worn face mask onto a photo, with the exact pixels that it covers."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gatedinpaint.faces._checks import check_size, check_whole
from gatedinpaint.faces._mask_cloth import MaskPattern, woven
from gatedinpaint.faces._mask_layers import Field, Layers, mask_layers
from gatedinpaint.faces._mask_light import face_light, grain
from gatedinpaint.faces._mask_shape import MaskStyle, Shape, mask_shape
from gatedinpaint.faces.regions import check_landmarks, face_height
from gatedinpaint.image import Hole, Photo, check_photo

MASK_STYLES: tuple[MaskStyle, ...] = get_args(MaskStyle)
"""The styles of :func:`draw_face_mask`."""

MASK_COLORS = {
    "blue": (172, 207, 228),
    "white": (236, 237, 240),
    "green": (136, 208, 186),
    "black": (44, 44, 48),
    "pink": (238, 186, 200),
    "grey": (150, 153, 158),
    "beige": (214, 192, 164),
    "navy": (48, 62, 104),
    "red": (170, 48, 58),
    "teal": (38, 118, 124),
}
"""Colours of :func:`draw_face_mask` by name, RGB of the cloth in full light."""

MASK_PALETTES: dict[MaskStyle, tuple[str, ...]] = {
    "surgical": ("white", "white", "green", "green", "blue", "blue", "blue", "blue", "pink", "black"),
    "ffp2": ("white", "white", "white", "grey", "black"),
    "cloth": ("navy", "red", "teal", "beige", "grey", "pink", "white", "black", "blue"),
    "black": ("black",),
}
"""Colours by name from which :func:`draw_face_mask` draws for a style, the frequent ones repeatedly."""


def draw_face_mask(
    photo: Photo,
    landmarks: NDArray[np.floating],
    *,
    style: MaskStyle = "surgical",
    color: str | tuple[int, int, int] | None = None,
    seed: int = 0,
    ear_loops: bool = True,
    pattern: MaskPattern | None = None,
) -> tuple[Photo, Hole]:
    """Draw a worn face mask: cloth stretched over nose and chin, in the light of the photo.

    The cloth has coordinates of its own, u from ear to ear and v from the nose down to the chin, which a thin-plate
    spline finds for every pixel; folds, seams and patterns are drawn there and so follow the turn of the head. The
    light comes from the skin of cheeks, nose and forehead, smoothed so that neither beard nor lips print through; the
    grain is that of the photo. Around its edge the cloth casts a narrow shadow.

    Args:
        photo: uint8 RGB (H, W, 3); not changed.
        landmarks: (478, 2) points (x, y) in pixels of ``photo``.
        style: ``"surgical"``, pleated; ``"ffp2"``, folded flat along a vertical seam, also sold as KN95; ``"cloth"``,
            sewn; ``"black"``, the smooth foam kind with broad loops, black unless a color says otherwise.
        color: a name in :data:`MASK_COLORS`, or RGB, whole numbers from 0 to 255. By default the seed draws one of
            the style's :data:`MASK_PALETTES`.
        seed: 0 or more; varies fit, folds, texture and what is left to it. Shape and cloth draw from separate streams:
            the same seed has the same outline in every color and pattern.
        ear_loops: draw the cords towards the ears; on a turned head only that of the near ear shows.
        pattern: of the style ``"cloth"``: ``"plain"``, ``"stripes"``, ``"dots"`` or ``"checks"``. By default the seed
            draws one.

    Returns:
        The photo with the face mask, and ``hole``: bool (H, W), True for every pixel that cloth, ear loops or their
        shadow touch, even slightly; the same as :func:`face_mask_hole`. Every other pixel is that of ``photo``.

    Raises:
        ValueError: an unknown style, color or pattern, a pattern on another style than cloth, a negative seed, a photo
            that is not (H, W, 3), landmarks that are not finite (478, 2) points or whose ears coincide.
        TypeError: a photo that is not a numpy array of uint8, a seed that is not a whole number.
        ImportError: OpenCV is not installed.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> photo = astronaut()
        >>> masked, hole = draw_face_mask(photo, FaceLandmarker().detect(photo)[0].landmarks, style="ffp2")
        >>> bool((masked[~hole] == photo[~hole]).all())
        True
    """
    photo, points = check_photo(photo), check_landmarks(landmarks)
    _check_choice("style", style, MASK_STYLES)
    if pattern is not None:
        _check_choice("pattern", pattern, get_args(MaskPattern))
        if style != "cloth" and pattern != "plain":
            raise ValueError(f"pattern {pattern!r} needs style 'cloth'; got style {style!r}.")
    if color is not None:
        _rgb(color)
    shape, layers = _fit(points, photo.shape[:2], style, seed, ear_loops)
    result, hole = photo.copy(), np.zeros(photo.shape[:2], dtype=bool)
    if layers is None:
        return result, hole

    rng = np.random.default_rng((seed, 1))
    usual: str = rng.choice(MASK_PALETTES[style])
    printed: MaskPattern = rng.choice(get_args(MaskPattern), p=(0.4, 0.2, 0.2, 0.2))
    first = _rgb(usual if color is None else color)
    if pattern is None:
        pattern = printed if style == "cloth" else "plain"
    shade, share = woven(shape, layers, face_height(points), style, pattern, rng)
    dye = first + share[..., None] * (_second(first) - first)

    covered: Field = photo[layers.box].astype(np.float32) / np.float32(255)
    light = face_light(photo, points, layers.box)
    noise = grain(covered) * rng.standard_normal(layers.cloth.shape, dtype=np.float32)[..., None]
    cloth = (dye * shade[..., None] + 0.02 * shade[..., None]) * light + noise
    cord = (first if style == "black" else 0.35 * first + 0.6 * _rgb("white")) * light + noise

    blended = covered * (1 - 0.35 * layers.shadow[..., None])
    blended += layers.loops[..., None] * (cord - blended)
    blended += layers.cloth[..., None] * (cloth - blended)
    touched = layers.hole
    result[layers.box][touched] = np.round(np.clip(blended[touched], 0, 1) * 255).astype(np.uint8)
    hole[layers.box] = touched
    return result, hole


def face_mask_hole(
    landmarks: NDArray[np.floating],
    size: tuple[int, int],
    *,
    style: MaskStyle = "surgical",
    seed: int = 0,
    ear_loops: bool = True,
) -> Hole:
    """The pixels that :func:`draw_face_mask` would cover, bool (H, W), without a photo and without the drawing.

    Args:
        landmarks: (478, 2) points (x, y) in pixels.
        size: (height, width) of the photo.
        style: see :func:`draw_face_mask`; likewise ``seed`` and ``ear_loops``.
        seed: 0 or more.
        ear_loops: with the cords towards the ears.

    Raises:
        TypeError: a seed that is not a whole number.
        ValueError: an unknown style, a size that is not (H, W), a negative seed, landmarks that are not finite (478, 2)
            points.
        ImportError: OpenCV is not installed.

    Example:
        >>> from skimage.data import astronaut
        >>> from gatedinpaint.faces import FaceLandmarker
        >>> landmarks = FaceLandmarker().detect(astronaut())[0].landmarks
        >>> hole = face_mask_hole(landmarks, (512, 512), style="cloth")
        >>> bool((hole == draw_face_mask(astronaut(), landmarks, style="cloth")[1]).all())
        True
    """
    _check_choice("style", style, MASK_STYLES)
    size = check_size(size)
    _, layers = _fit(check_landmarks(landmarks), size, style, seed, ear_loops)
    hole = np.zeros(size, dtype=bool)
    if layers is not None:
        hole[layers.box] = layers.hole
    return hole


def _fit(
    points: NDArray[np.float64], size: tuple[int, int], style: MaskStyle, seed: int, ear_loops: bool
) -> tuple[Shape, Layers | None]:
    shape = mask_shape(points, style=style, seed=check_whole(seed, name="seed", least=0), ear_loops=ear_loops)
    return shape, mask_layers(shape, size, face_height(points))


def _check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")


def _rgb(color: str | Sequence[int]) -> Field:
    rgb = np.array(MASK_COLORS.get(color) if isinstance(color, str) else color)
    # Whole numbers: a color of fractions would come out black.
    if rgb.shape != (3,) or rgb.dtype.kind not in "iu" or not ((rgb >= 0) & (rgb <= 255)).all():
        names = ", ".join(MASK_COLORS)
        raise ValueError(f"color must be one of {names}, or RGB, whole numbers from 0 to 255; got {color!r}.")
    return rgb.astype(np.float32) / np.float32(255)


def _second(first: Field) -> Field:
    """The other colour of a pattern: nearly white on dark cloth, a deeper shade of the same on light cloth."""
    return 0.15 * first + 0.8 * _rgb("white") if first.mean() < 0.62 else first**2 * np.float32(0.6)
