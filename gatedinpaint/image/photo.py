"""Photos (uint8 RGB, numpy) to images (float tensors in [−1, 1]) and back."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gatedinpaint._checks import check_image

Photo = npt.NDArray[np.uint8]
"""uint8 RGB array (H, W, 3)."""
Hole = npt.NDArray[np.bool_]
"""bool array (H, W); True = hole."""


def check_photo(photo: object, *, name: str = "photo") -> Photo:
    """Return ``photo`` as a contiguous uint8 RGB array (H, W, 3), or raise.

    Raises:
        TypeError: not a numpy array, or not uint8.
        ValueError: not (H, W, 3), or empty. :func:`as_photo` converts grey, alpha and 16 bits.

    Example:
        >>> check_photo(np.zeros((4, 6, 3), np.uint8)).shape
        (4, 6, 3)
    """
    if not isinstance(photo, np.ndarray):
        kind = type(photo).__name__
        hint = " Use image_to_photo for an image in [-1, 1]." if isinstance(photo, Tensor) else ""
        if hasattr(photo, "__array_interface__"):
            hint = f' Pass np.asarray({name}.convert("RGB")) of a Pillow picture.'
        raise TypeError(f"{name} must be a numpy array (H, W, 3) of uint8; got {kind}.{hint}")
    if photo.dtype != np.uint8:
        hint = "as_photo for 16 bits" if photo.dtype == np.uint16 else "image_to_photo for a float image"
        raise TypeError(f"{name} must be uint8 in 0…255; got {photo.dtype}. Use {hint}.")
    if photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"{name} must be RGB (H, W, 3); got {photo.shape}.{_shape_hint(photo)}")
    if photo.size == 0:
        raise ValueError(f"{name} must not be empty; got {photo.shape}.")
    return np.ascontiguousarray(photo)


def _shape_hint(photo: npt.NDArray[np.uint8]) -> str:
    if photo.ndim == 2:
        return " Repeat the grey channel: np.stack([photo] * 3, -1)."
    if photo.ndim != 3:
        return ""
    if photo.shape[2] == 4:
        return " Drop the alpha channel: photo[..., :3]."
    if photo.shape[2] == 1:
        return " Repeat the grey channel: np.repeat(photo, 3, -1)."
    return " Channels come last: photo.transpose(1, 2, 0)." if photo.shape[0] == 3 else ""


def as_photo(array: object, *, name: str = "photo") -> Photo:
    """Convert an array of pixels to a photo, uint8 RGB (H, W, 3), where only one meaning is possible.

    Grey (H, W) or (H, W, 1) is repeated, 16 bits are divided by 257, and an alpha channel, (H, W, 2) or (H, W, 4), lays
    the picture on white, as :func:`read_photo` does.

    Raises:
        TypeError: not a numpy array, or not uint8 or uint16: a float may run over [−1, 1], [0, 1] or 0…255.
        ValueError: another shape, or empty.

    Example:
        >>> as_photo(np.array([[0, 0x8000, 0xFFFF]], np.uint16)).tolist()
        [[[0, 0, 0], [128, 128, 128], [255, 255, 255]]]
    """
    if not isinstance(array, np.ndarray):
        return check_photo(array, name=name)
    pixels = array[..., None] if array.ndim == 2 else array
    if pixels.dtype.kind == "u" and pixels.dtype.itemsize == 2:  # in either order of the bytes
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:].astype(np.uint32)
        pixels = ((pixels[..., :-1] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return check_photo(pixels, name=name)


def photo_to_image(photo: Photo) -> Tensor:
    """uint8 (H, W, 3) in 0…255 → float32 (1, 3, H, W) in [−1, 1]: v / 127.5 − 1.

    Example:
        >>> photo_to_image(np.full((1, 1, 3), 255, np.uint8)).flatten().tolist()
        [1.0, 1.0, 1.0]
    """
    pixels = torch.from_numpy(check_photo(photo).copy())
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1.0


def image_to_photo(image: Tensor) -> Photo:
    """float (1, 3, H, W) in [−1, 1] → uint8 (H, W, 3); values outside the range are clipped, then rounded.

    The exact inverse of :func:`photo_to_image`.

    Raises:
        ValueError: not one RGB image, or NaN in it.

    Example:
        >>> image_to_photo(torch.tensor([-1.0, 0.0, 1.0]).reshape(1, 3, 1, 1)).tolist()
        [[[0, 128, 255]]]
    """
    check_image(image)
    if image.shape[0] != 1:
        raise ValueError(f"image must hold one image (1, 3, H, W); got {tuple(image.shape)}. Pass image[i : i + 1].")
    if image.isnan().any():
        raise ValueError("image must not hold NaN.")
    pixels = ((image.detach().float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    photo: Photo = pixels[0].permute(1, 2, 0).cpu().contiguous().numpy()
    return photo
