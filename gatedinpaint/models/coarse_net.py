"""The first stage of the generator as the paper has it: dilated gated convolutions."""

from torch import Tensor, nn

from gatedinpaint._conv2d import Conv2d
from gatedinpaint.layers import GatedConv2d, GatedUpsample2d, SPDResBlock
from gatedinpaint.models._checks import check_input, check_width

SPD_8 = (1, 2, 3, 4, 5, 6, 8, 10)


class CoarseNet(nn.Module):
    """First stage: gated convolutions at 1, 1/2 and 1/4 scale, four SPD-8 blocks, dilations 2 to 16, tanh.

    Args:
        base_channels: the width c; all widths are multiples of it. Even: c / 2 and 4c / 8 occur.
        in_channels: image and mask are 4; with reference 8.

    Shapes:
        x (B, in_channels, H, W), H and W multiples of 4 → (B, 3, H, W) in [−1, 1].

    Raises:
        TypeError: x is no floating-point tensor.
        ValueError: another shape; an odd width.

    Reference:
        Lumetti et al., "Mask inpainting with a GAN network". 5,399,123 parameters at c = 32 without reference.

    Example:
        >>> import torch
        >>> CoarseNet(4)(torch.randn(1, 4, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(self, base_channels: int = 32, *, in_channels: int = 4) -> None:
        super().__init__()
        c = check_width(base_channels)
        self.in_channels = in_channels
        self.encoder = nn.Sequential(
            GatedConv2d(in_channels, c, 5),
            GatedConv2d(c, 2 * c, 4, stride=2),
            GatedConv2d(2 * c, 2 * c, 3),
            GatedConv2d(2 * c, 4 * c, 4, stride=2),
            GatedConv2d(4 * c, 4 * c, 3),
            GatedConv2d(4 * c, 4 * c, 3),
        )
        self.middle = nn.Sequential(
            *(SPDResBlock(4 * c, dilations=SPD_8) for _ in range(4)),
            *(GatedConv2d(4 * c, 4 * c, 3, dilation=dilation) for dilation in (2, 4, 8, 16)),
            GatedConv2d(4 * c, 4 * c, 3),
            GatedConv2d(4 * c, 4 * c, 3),
        )
        self.decoder = nn.Sequential(
            GatedUpsample2d(4 * c, 2 * c),
            GatedConv2d(2 * c, 2 * c, 3),
            GatedUpsample2d(2 * c, c),
            GatedConv2d(c, c // 2, 3),
            Conv2d(c // 2, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, 3, H, W) in [−1, 1]."""
        check_input(x, self.in_channels, multiple=4)
        y: Tensor = self.decoder(self.middle(self.encoder(x)))
        return y.tanh()
