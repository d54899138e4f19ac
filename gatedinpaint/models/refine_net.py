"""The second stage of the generator: a U-Net with self-attention at three scales."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._conv2d import Conv2d
from gatedinpaint.layers import MultiScaleSelfAttention, SPDResBlock
from gatedinpaint.models._checks import check_input, check_width
from gatedinpaint.models.coarse_unet import SPD_4

Skips = Literal["deep", "all"]


class RefineNet(nn.Module):
    """Second stage: a U-Net to 1/16 scale with six SPD-4 blocks in its middle and self-attention at three scales.

    The paper's skips end at 1/4 scale: all that is finer passes through 2c channels of a map of a sixteenth of the
    pixels. With ``skips="all"`` the features of 1/2 and full scale, and x itself, go to the decoder too, and an SPD-4
    block follows on its features of 1/4, 1/2 and full scale, the last of 2c channels.

    Args:
        base_channels: the width c; all widths are multiples of it. Even.
        in_channels: image and mask are 4; with reference 8.
        skips: ``"deep"``, those at 1/8 and 1/4 scale, or ``"all"``.

    Shapes:
        x (B, in_channels, H, W), H and W multiples of 16 → image (B, 3, H, W) and embedding (B, 16c).

    Raises:
        TypeError: x is no floating-point tensor.
        ValueError: another shape; an odd width; unknown skips.

    Departs from the paper:
        ``skips="all"`` is an addition.

    Reference:
        Lumetti et al., "Mask inpainting with a GAN network", after Li et al., "DeepGIN", ECCVW 2020. 62,829,142
        parameters at c = 32 without reference.

    Example:
        >>> image, embedding = RefineNet(2)(torch.randn(1, 4, 32, 32))
        >>> image.shape, embedding.shape
        (torch.Size([1, 3, 32, 32]), torch.Size([1, 32]))
    """

    def __init__(self, base_channels: int = 32, *, in_channels: int = 4, skips: Skips = "deep") -> None:
        super().__init__()
        c = check_width(base_channels)
        if skips not in get_args(Skips):
            raise ValueError(f"skips must be one of {get_args(Skips)}; got {skips!r}.")
        self.in_channels = in_channels
        self.skips = skips
        self.stem = _convolution(in_channels, c, 7)
        self.down = nn.ModuleList(
            _convolution(width, 2 * width, 4, stride=2) for width in (c, 2 * c, 4 * c, 8 * c)
        )  # to 1/2, 1/4, 1/8, 1/16
        self.middle_before = _spd_blocks(16 * c)
        self.skip_8 = _convolution(8 * c, 4 * c, 3)
        self.skip_4 = _convolution(4 * c, 2 * c, 3)
        self.attention = MultiScaleSelfAttention([16 * c, 4 * c, 2 * c])
        self.middle_after = _spd_blocks(16 * c)
        self.up_8 = _convolution(16 * c, 8 * c, 3)
        self.join_8 = _convolution(8 * c + 4 * c, 8 * c, 3)
        self.up_4 = _convolution(8 * c, 4 * c, 3)
        self.join_4 = _convolution(4 * c + 2 * c, 4 * c, 3)
        fine_2, fine_1, last = (2 * c, c + in_channels, 2 * c) if skips == "all" else (0, 0, c)
        self.up_2 = _convolution(4 * c + fine_2, 2 * c, 3)
        self.up_1 = _convolution(2 * c + fine_1, last, 3)
        self.polish = nn.ModuleList(  # at 1/4, 1/2, 1/1
            _spd_block(width) if skips == "all" else nn.Identity() for width in (4 * c, 2 * c, last)
        )
        self.to_rgb = Conv2d(last, 3, 7, padding=3, padding_mode="replicate")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, in_channels, H, W) → image (B, 3, H, W), embedding (B, 16c)."""
        check_input(x, self.in_channels, multiple=16)
        scale_1 = self.stem(x)
        scale_2 = self.down[0](scale_1)
        scale_4 = self.down[1](scale_2)
        scale_8 = self.down[2](scale_4)
        middle = self.middle_before(self.down[3](scale_8))
        embedding = middle.mean(dim=(2, 3))
        middle, skip_8, skip_4 = self.attention([middle, self.skip_8(scale_8), self.skip_4(scale_4)])
        y = self.up_8(_double(self.middle_after(middle)))
        y = self.up_4(_double(self.join_8(torch.cat([y, skip_8], dim=1))))
        y = _double(self.polish[0](self.join_4(torch.cat([y, skip_4], dim=1))))
        y = _double(self.polish[1](self.up_2(torch.cat([y, scale_2], dim=1) if self.skips == "all" else y)))
        y = self.polish[2](self.up_1(torch.cat([y, scale_1, x], dim=1) if self.skips == "all" else y))
        return self.to_rgb(y), embedding


def _convolution(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Sequential:
    padding = (kernel_size - 1) // 2
    return nn.Sequential(
        Conv2d(in_channels, out_channels, kernel_size, stride, padding, padding_mode="replicate"), nn.LeakyReLU(0.2)
    )


def _spd_blocks(channels: int) -> nn.Sequential:
    return nn.Sequential(*(_spd_block(channels) for _ in range(3)))


def _spd_block(channels: int) -> SPDResBlock:
    return SPDResBlock(channels, dilations=SPD_4, padding_mode="replicate")


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
