"""Spatial pyramid dilation: a residual block that looks at several distances at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_count, check_image
from gatedinpaint._conv2d import for_several, lies_last
from gatedinpaint.layers._geometry import PaddingMode
from gatedinpaint.layers.gated_conv import GatedConv2d


class SPDResBlock(nn.Module):
    r"""Residual block of parallel dilated gated convolutions (spatial pyramid dilation, SPD).

    .. math:: y = x + G\big([\,G_{d_1}(x), \dots, G_{d_n}(x)\,]\big)

    G_d is a 3×3 gated convolution with dilation d to channels / n channels, G one without activation.
    ``dilations=(1, 2, 4, 8)`` is SPD-4, ``(1, 2, 3, 4, 5, 6, 8, 10)`` SPD-8.

    Args:
        channels: channels of x and y; a multiple of the number of dilations.
        dilations: one branch each.
        padding_mode: as in :class:`GatedConv2d`.

    Shapes:
        x (B, channels, H, W) → y of the same shape.

    Raises:
        TypeError: x is no floating-point tensor; channels or a dilation that are no whole number.
        ValueError: x of another shape; no dilations, or channels that they do not divide; an unknown padding mode.

    Reference:
        Li et al., "DeepGIN: Deep Generative Inpainting Network for Extreme Image Inpainting", ECCVW 2020.

    Example:
        >>> SPDResBlock(16, dilations=(1, 2, 4, 8))(torch.randn(1, 16, 20, 20)).shape
        torch.Size([1, 16, 20, 20])
    """

    def __init__(
        self,
        channels: int,
        *,
        dilations: Sequence[int] = (1, 2, 4, 8),
        padding_mode: PaddingMode = "zeros",
    ) -> None:
        super().__init__()
        check_count(channels, name="channels")
        if not dilations or channels % len(dilations):
            raise ValueError(
                f"channels must be a multiple of the number of dilations; got {channels} and "
                f"{len(dilations)} dilations {tuple(dilations)}."
            )
        self.channels = channels
        width = channels // len(dilations)
        self.branches = nn.ModuleList(
            GatedConv2d(channels, width, 3, dilation=dilation, padding_mode=padding_mode) for dilation in dilations
        )
        self.fuse = GatedConv2d(channels, channels, 3, padding_mode=padding_mode, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels, H, W) → y of the same shape."""
        check_image(x, name="x", channels=self.channels)
        seen = for_several(x, self.branches)
        fused: Tensor = self.fuse(torch.cat([branch(seen) for branch in self.branches], dim=1))
        if seen is x or lies_last(self.branches):
            return seen + fused
        return x + fused.contiguous()
