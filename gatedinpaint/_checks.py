"""Checks of arguments. Every message says what was expected, what was got, and how to mend it."""

from collections.abc import Mapping, Sequence
from operator import index
from typing import SupportsIndex

import torch
from torch import Tensor

_MARGIN = 0.25  # a resized mask may overshoot; 0 … 255 and −1 … 1 are far outside
# Integer masks come as 0 and 1 and as 0 and 255.
TO_MASK = "Convert it with ({name} > 0).float(); 1 marks the hole."


def check_float(tensor: Tensor, *, name: str, remedy: str = "Convert it with {name}.float().") -> None:
    """Raise unless ``tensor`` is a floating-point tensor."""
    if not isinstance(tensor, Tensor):
        hint = f" Pass torch.as_tensor({name})." if _is_array(tensor) else ""
        raise TypeError(f"{name} must be a torch.Tensor; got {type(tensor).__name__}.{hint}")
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor; got {tensor.dtype}. {remedy.format(name=name)}")


def check_image(image: Tensor, *, name: str = "image", channels: int | None = 3) -> None:
    """Raise unless ``image`` is a float (B, C, H, W) tensor with pixels in it; ``channels=None`` allows any C."""
    _check_pixels(image, name=name)
    expected = f"(B, {'C' if channels is None else channels}, H, W)"
    if image.ndim != 4:
        hint = f" For a single image pass {name}[None]." if image.ndim == 3 else ""
        raise ValueError(f"{name} must be {expected}; got {tuple(image.shape)}.{hint}")
    if channels is not None and image.shape[1] != channels:
        hint = f" Channels come second: pass {name}.permute(0, 3, 1, 2)." if image.shape[3] == channels else ""
        raise ValueError(f"{name} must be {expected}; got {tuple(image.shape)}.{hint}")
    if image.numel() == 0:
        raise ValueError(f"{name} must not be empty; got {tuple(image.shape)}.")


def check_mask(mask: Tensor, image: Tensor, *, name: str = "mask", image_name: str = "image") -> None:
    """Raise unless ``mask`` is a float (B, 1, H, W) tensor of the batch and size of ``image``, from 0 to 1."""
    check_float(mask, name=name, remedy=TO_MASK)
    expected = (image.shape[0], 1, image.shape[2], image.shape[3])
    if tuple(mask.shape) != expected:
        raise ValueError(
            f"{name} must be (B, 1, H, W) = {expected}, matching {image_name} {tuple(image.shape)}; "
            f"got {tuple(mask.shape)}.{mask_hint(mask, expected[0], name=name)}"
        )
    check_mask_values(mask, name=name)


def check_lone_mask(mask: Tensor, *, name: str = "mask") -> None:
    """Raise unless ``mask`` is a float (B, 1, H, W) tensor with pixels in it, from 0 to 1."""
    check_float(mask, name=name, remedy=TO_MASK)
    if mask.ndim != 4 or mask.shape[1] != 1:
        raise ValueError(f"{name} must be (B, 1, H, W); got {tuple(mask.shape)}.{mask_hint(mask, 1, name=name)}")
    if mask.numel() == 0:
        raise ValueError(f"{name} must not be empty; got {tuple(mask.shape)}.")
    check_mask_values(mask, name=name)


def mask_hint(mask: Tensor, batch: int, *, name: str = "mask") -> str:
    """What 1 means, and how a mask of another shape becomes (batch, 1, H, W)."""
    if mask.ndim == 3:
        return f" For a single mask pass {name}[:, None]; 1 marks the hole."
    if mask.ndim == 4 and mask.shape[3] == 1 != mask.shape[1]:
        return f" 1 marks the hole. Channels come second: pass {name}.permute(0, 3, 1, 2)."
    if mask.ndim == 4 and mask.shape[1] != 1:
        return f" 1 marks the hole. If its channels are alike pass {name}[:, :1]."
    for_all = f".expand({batch}, -1, -1, -1)" if batch > 1 else ""
    if mask.ndim == 2:
        return f" 1 marks the hole. For a single mask pass {name}[None, None]{for_all}."
    if mask.ndim == 4 and len(mask) == 1 and for_all:
        return f" 1 marks the hole. For one mask for all pass {name}{for_all}."
    return " 1 marks the hole."


def check_mask_values(mask: Tensor, *, name: str = "mask") -> None:
    """Raise where a mask on a CPU holds other values than from 0 to 1; elsewhere a look would wait for the device."""
    if mask.device.type != "cpu" or not mask.numel() or not has_values(mask):
        return
    lowest, highest = (float(value) for value in mask.detach().aminmax())
    if lowest < -_MARGIN or highest > 1 + _MARGIN:
        raise ValueError(
            f"{name} must be 1 in the hole and 0 elsewhere; got values from {lowest:g} to {highest:g}. "
            f"Pass ({name} > {(lowest + highest) / 2:g}).float() if the higher ones mark the hole."
        )


def check_same_shape(input: Tensor, target: Tensor, *, name: str = "input", other: str = "target") -> None:
    """Raise unless both are floating-point tensors of one shape."""
    _check_pixels(input, name=name)
    _check_pixels(target, name=other)
    if input.shape != target.shape:
        raise ValueError(f"{name} and {other} must have one shape; got {tuple(input.shape)} and {tuple(target.shape)}.")


def check_mapping(value: object, *, name: str, example: str) -> None:
    """Raise unless ``value`` has its entries under names."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict such as {example}; got {type(value).__name__}.")


def check_list(value: object, *, name: str, of: str) -> None:
    """Raise for a bare tensor, which could be looped over as well: by samples."""
    if isinstance(value, Tensor):
        raise TypeError(f"{name} must be a list of {of}; got a Tensor. Pass [{name}].")


def check_count(value: int, *, name: str) -> int:
    """Return ``value`` as an int, or raise unless it is a whole number greater than zero."""
    if not isinstance(value, SupportsIndex):
        raise TypeError(f"{name} must be one whole number; got {value!r}.")
    check_positive(index(value), name=name)
    return index(value)


def check_positive(value: float, *, name: str) -> None:
    """Raise unless ``value`` is greater than zero."""
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0; got {value}.")


def check_size(size: tuple[int, int], *, name: str = "size") -> None:
    """Raise unless ``size`` is (height, width) in whole numbers of 1 or more."""
    # A tensor has __index__ even when it holds a fraction.
    whole = isinstance(size, Sequence) and all(isinstance(n, SupportsIndex) and not isinstance(n, Tensor) for n in size)
    if not whole:
        raise TypeError(f"{name} must be (height, width) in whole numbers; got {size!r}.")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"{name} must be (height, width), each 1 or more; got {size}.")


def has_values(tensor: Tensor) -> bool:
    """Whether there are values to decide by: nothing is traced, compiled or transformed, and it is not on "meta"."""
    return not (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._are_functorch_transforms_active()
        or tensor.is_meta
        or type(tensor) is not Tensor
    )


def _check_pixels(tensor: Tensor, *, name: str) -> None:
    """``check_float`` for what may be a photo: turned into floats alone, its pixels would be 0…255."""
    if _is_array(tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor; got {type(tensor).__name__}. If it is a photo, use "
            "photo_to_image, otherwise torch.as_tensor."
        )
    if isinstance(tensor, Tensor) and tensor.dtype is not torch.bool:
        check_float(tensor, name=name, remedy="If it is a photo, scale it to [-1, 1]: {name}.float() / 127.5 - 1.")
    check_float(tensor, name=name)


def _is_array(value: object) -> bool:
    """Of NumPy, or a picture of Pillow."""
    return hasattr(value, "__array_interface__")
