"""Checks that the networks share."""

from torch import Tensor

from gatedinpaint._checks import check_count, check_image


def check_input(x: Tensor, in_channels: int, *, multiple: int) -> None:
    """Raise unless x is (B, in_channels, H, W) with sides that halve as often as the network does."""
    check_image(x, name="x", channels=in_channels)
    size = tuple(x.shape[2:])
    if any(side % multiple for side in size):
        raise ValueError(
            f"x must have a height and width that are multiples of {multiple}; got {size}. Pad it, or use "
            "InpaintGenerator, which pads."
        )


def check_width(base_channels: int) -> int:
    """The width, if it is an even number of channels."""
    base_channels = check_count(base_channels, name="base_channels")
    if base_channels % 2:
        raise ValueError(f"base_channels must be even: base_channels / 2 occurs in the network; got {base_channels}.")
    return base_channels
