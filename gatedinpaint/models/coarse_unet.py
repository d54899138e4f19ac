"""A gated U-Net in the place of the coarse net: more of it where the image is small."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._conv2d import Conv2d
from gatedinpaint.layers import GatedConv2d, SPDResBlock
from gatedinpaint.models._checks import check_input, check_width

SPD_4 = (1, 2, 4, 8)
_WIDTHS = (1, 2, 4, 8, 16, 16)


class CoarseUNet(nn.Module):
    """First stage as a U-Net: gated convolutions from full to 1/32 scale, an SPD-4 block there, skips at all scales.

    It stands in for :class:`CoarseNet`, which halves the image twice only and has 4c channels at most. Most weights of
    this one work on few pixels: it has ten times as many, takes about as long, and sees the whole face.

    Args:
        base_channels: the width c; the scales from 1 to 1/32 have c, 2c, 4c, 8c, 16c and 16c channels.
        in_channels: image and mask are 4; with reference 8.

    Shapes:
        x (B, in_channels, H, W), H and W multiples of 32 → (B, 3, H, W) in [−1, 1].

    Raises:
        TypeError: x is no floating-point tensor.
        ValueError: another shape; an odd width.

    Departs from the paper:
        The paper's coarse net is :class:`CoarseNet`.

    Reference:
        Ronneberger et al., "U-Net", MICCAI 2015, of the gated convolutions of Yu et al., ICCV 2019.

    Example:
        >>> CoarseUNet(2)(torch.randn(1, 4, 32, 64)).shape
        torch.Size([1, 3, 32, 64])
    """

    def __init__(self, base_channels: int = 32, *, in_channels: int = 4) -> None:
        super().__init__()
        c = check_width(base_channels)
        self.in_channels = in_channels
        widths = [factor * c for factor in _WIDTHS]
        pairs = list(itertools.pairwise(widths))
        self.stem = GatedConv2d(in_channels, c, 5)
        self.down = nn.ModuleList(
            nn.Sequential(GatedConv2d(outer, inner, 4, stride=2), GatedConv2d(inner, inner, 3))
            for outer, inner in pairs
        )
        self.middle = SPDResBlock(widths[-1], dilations=SPD_4)
        self.up = nn.ModuleList(
            nn.Sequential(GatedConv2d(inner + outer, outer, 3), GatedConv2d(outer, outer, 3))
            for outer, inner in reversed(pairs)
        )
        self.to_rgb = Conv2d(c, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, 3, H, W) in [−1, 1]."""
        check_input(x, self.in_channels, multiple=32)
        scales = [self.stem(x)]
        for down in self.down:
            scales.append(down(scales[-1]))
        y = self.middle(scales.pop())
        for up in self.up:
            y = up(torch.cat([F.interpolate(y, scale_factor=2.0), scales.pop()], dim=1))
        return torch.tanh(self.to_rgb(y))
