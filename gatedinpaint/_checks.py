"""Checks of arguments. Every message says what was expected, what was got, and how to mend it."""

from torch import Tensor


def check_float(tensor: Tensor, *, name: str) -> None:
    """Raise unless ``tensor`` is a floating-point tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor; got {type(tensor).__name__}.")
    if not tensor.is_floating_point():
        raise TypeError(f"{name} must be a floating-point tensor; got {tensor.dtype}. Convert it with {name}.float().")


def check_image(image: Tensor, *, name: str = "image", channels: int | None = 3) -> None:
    """Raise unless ``image`` is a float (B, C, H, W) tensor with pixels in it; ``channels=None`` allows any C."""
    check_float(image, name=name)
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
    """Raise unless ``mask`` is a float (B, 1, H, W) tensor of the batch, height and width of ``image``."""
    check_float(mask, name=name)
    expected = (image.shape[0], 1, image.shape[2], image.shape[3])
    if tuple(mask.shape) != expected:
        hint = f" For a single mask pass {name}[:, None]; 1 marks the hole." if mask.ndim == 3 else " 1 marks the hole."
        raise ValueError(
            f"{name} must be (B, 1, H, W) = {expected}, matching {image_name} {tuple(image.shape)}; "
            f"got {tuple(mask.shape)}.{hint}"
        )


def check_same_shape(input: Tensor, target: Tensor, *, name: str = "input", other: str = "target") -> None:
    """Raise unless both are floating-point tensors of one shape."""
    check_float(input, name=name)
    check_float(target, name=other)
    if input.shape != target.shape:
        raise ValueError(f"{name} and {other} must have one shape; got {tuple(input.shape)} and {tuple(target.shape)}.")


def check_positive(value: float, *, name: str) -> None:
    """Raise unless ``value`` is greater than zero."""
    if not value > 0:
        raise ValueError(f"{name} must be greater than 0; got {value}.")
