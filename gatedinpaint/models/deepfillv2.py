"""The generator of DeepFillv2: two gated stages, the second with contextual attention."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_count, check_image, check_mask
from gatedinpaint._conv2d import Conv2d
from gatedinpaint.layers import ContextualAttention2d, GatedConv2d, GatedUpsample2d, init_weights
from gatedinpaint.masks import composite
from gatedinpaint.models._padding import crop, pad_to_multiple
from gatedinpaint.models.pretrained import Pretrained


class DeepFillV2Output(NamedTuple):
    """What :class:`DeepFillV2Generator` returns."""

    coarse: Tensor
    """Result of the first stage, whole frame, (B, 3, H, W) in [−1, 1]."""
    refined: Tensor
    """Result of the second stage, whole frame, (B, 3, H, W) in [−1, 1]."""


class DeepFillV2Generator(Pretrained):
    r"""The network of DeepFillv2: coarse stage, composite, refining stage; fills the hole of an image.

    .. math::
        \mathrm{coarse} = C\big(x \odot (1 - m),\, 1,\, m\big), \qquad
        \mathrm{refined} = R\big(x \odot (1 - m) + \mathrm{coarse} \odot m\big)

    C is one path of gated convolutions down to 1/4 scale, through dilations 2 to 16, and up again. R has two such ways
    down, one with dilations and one with :class:`ContextualAttention2d`, joined before the way up. All convolutions are
    gated, with ELU, zero padding and no normalisation; both stages end in tanh. Any height and width: the input is
    padded with its border to multiples of 8 and the result cropped back.

    Args:
        base_channels: the width c, a multiple of 4. The published weights have 48: 4,052,478 parameters, and 27.8 GMAC
            for an image of 256×256.

    Shapes:
        image (B, 3, H, W) in [−1, 1], mask (B, 1, H, W) with 1 = hole, cut at 0.5 → :class:`DeepFillV2Output`. The
        image has the type of the weights. What it holds in the hole is never seen.

    Raises:
        TypeError: image or mask is no floating-point tensor.
        ValueError: a width that is no positive multiple of 4; shapes that do not match; a mask with values beyond 0 and
            1 (looked at on a CPU alone).

    Departs from the paper:
        Follows the published networks where they and the paper differ: a channel of ones beside image and mask, an
        attention branch that ends in ReLU before the attention, no mask at the input of the refining stage.

    Reference:
        Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019.

    Example:
        >>> generator = DeepFillV2Generator(4).eval()
        >>> image, mask = torch.zeros(1, 3, 37, 50), torch.zeros(1, 1, 37, 50)
        >>> mask[..., 10:20, 10:30] = 1
        >>> generator(image, mask).refined.shape
        torch.Size([1, 3, 37, 50])
    """

    def __init__(self, base_channels: int = 48) -> None:
        super().__init__()
        base_channels = check_count(base_channels, name="base_channels")
        if base_channels % 4:
            raise ValueError(
                f"base_channels must be a multiple of 4: base_channels / 4 occurs in the network; got {base_channels}."
            )
        c = self.base_channels = base_channels
        self.coarse = nn.Sequential(
            _gated(5, c // 2, 5),
            _gated(c // 2, c, stride=2),
            _gated(c, c),
            _gated(c, 2 * c, stride=2),
            _gated(2 * c, 2 * c),
            *(_gated(2 * c, 2 * c, dilation=dilation) for dilation in (1, 2, 4, 8, 16, 1, 1)),
            *_decoder(c),
        )
        self.dilated = nn.Sequential(
            _gated(3, c // 2, 5),
            _gated(c // 2, c // 2, stride=2),
            _gated(c // 2, c),
            _gated(c, c, stride=2),
            _gated(c, 2 * c),
            *(_gated(2 * c, 2 * c, dilation=dilation) for dilation in (1, 2, 4, 8, 16)),
        )
        self.before_attention = nn.Sequential(
            _gated(3, c // 2, 5),
            _gated(c // 2, c // 2, stride=2),
            _gated(c // 2, c),
            _gated(c, 2 * c, stride=2),
            _gated(2 * c, 2 * c),
            _gated(2 * c, 2 * c, activation=nn.ReLU()),
        )
        self.attention = ContextualAttention2d()
        self.after_attention = nn.Sequential(_gated(2 * c, 2 * c), _gated(2 * c, 2 * c))
        self.join = nn.Sequential(_gated(4 * c, 2 * c), _gated(2 * c, 2 * c), *_decoder(c))
        init_weights(self)

    @property
    def config(self) -> dict[str, int | bool]:
        """The arguments that build this network again."""
        return {"base_channels": self.base_channels}

    def forward(self, image: Tensor, mask: Tensor) -> DeepFillV2Output:
        """Fill the hole: see the class for shapes and ranges."""
        check_image(image)
        check_mask(mask, image)
        height, width = image.shape[2:]
        mask = (mask > 0.5).to(image.dtype)
        image, mask = (pad_to_multiple(x, 8) for x in (image, mask))
        visible = composite(torch.zeros_like(image), image, mask)  # a hole may hold anything, NaN included
        coarse = self.coarse(torch.cat([visible, torch.ones_like(mask), mask], dim=1))
        refined = self._refine(composite(coarse, image, mask), mask)
        return DeepFillV2Output(*(crop(x, (height, width)) for x in (coarse, refined)))

    def _refine(self, image: Tensor, mask: Tensor) -> Tensor:
        attended = self.after_attention(self.attention(self.before_attention(image), mask))
        refined: Tensor = self.join(torch.cat([self.dilated(image), attended], dim=1))
        return refined


def _gated(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    stride: Literal[1, 2] = 1,
    dilation: int = 1,
    activation: nn.Module | None = None,
) -> GatedConv2d:
    return GatedConv2d(
        in_channels, out_channels, kernel_size, stride=stride, dilation=dilation, activation=activation or nn.ELU()
    )


def _decoder(c: int) -> list[nn.Module]:
    """From 2c channels at 1/4 scale to an image."""
    return [
        GatedUpsample2d(2 * c, c, activation=nn.ELU()),
        _gated(c, c),
        GatedUpsample2d(c, c // 2, activation=nn.ELU()),
        _gated(c // 2, c // 4),
        Conv2d(c // 4, 3, 3, padding=1),
        nn.Tanh(),
    ]
