"""The coarse-to-fine generator: a gated coarse net, then a refine net with attention at three scales."""

from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_mask
from gatedinpaint._conv2d import Conv2d
from gatedinpaint.layers import GatedConv2d, GatedUpsample2d, MultiScaleSelfAttention, SPDResBlock, init_weights
from gatedinpaint.masks import composite
from gatedinpaint.models._checks import check_input, check_width
from gatedinpaint.models._padding import crop, pad_to_multiple
from gatedinpaint.models.coarse_unet import SPD_4, CoarseUNet
from gatedinpaint.models.pretrained import Pretrained

SPD_8 = (1, 2, 3, 4, 5, 6, 8, 10)

Skips = Literal["deep", "all"]

# Image and mask; with a reference four more: the warped photo and where it is known.
_INPUT_CHANNELS = 4


class InpaintOutput(NamedTuple):
    """What :class:`InpaintGenerator` returns."""

    coarse: Tensor
    """Result of the first stage, whole frame, (B, 3, H, W) in [−1, 1]."""
    refined: Tensor
    """Result of the second stage, whole frame, (B, 3, H, W). In training unbounded, in eval mode clipped to [−1, 1]."""
    embedding: Tensor
    """Global average of the refine net's middle, (B, 16 · base_channels), for the contrastive loss."""


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
        >>> CoarseNet(4)(torch.randn(1, 4, 32, 32)).shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(self, base_channels: int = 32, *, in_channels: int = _INPUT_CHANNELS) -> None:
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
            nn.Conv2d(c // 2, 3, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, 3, H, W) in [−1, 1]."""
        check_input(x, self.in_channels, multiple=4)
        y: Tensor = self.decoder(self.middle(self.encoder(x)))
        return y.tanh()


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

    def __init__(self, base_channels: int = 32, *, in_channels: int = _INPUT_CHANNELS, skips: Skips = "deep") -> None:
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


# Class and the multiple that height and width must be of; the refine net asks for 16.
_FIRST_STAGES: dict[str, tuple[type[CoarseNet] | type[CoarseUNet], int]] = {
    "dilated": (CoarseNet, 16),
    "unet": (CoarseUNet, 32),
}


class InpaintGenerator(Pretrained):
    r"""Coarse net, composite, refine net: fills the hole of an image, with or without a warped reference.

    .. math::
        \mathrm{coarse} = C(x \odot (1 - m),\, m), \qquad
        \mathrm{refined} = R\big(x \odot (1 - m) + \mathrm{coarse} \odot m,\, m\big)

    With ``reference=True`` both stages also see the reference (zero where it is unknown) and where it is known;
    leaving the reference out at the call means that it is known nowhere. Any height and width: the input is padded
    with its border to multiples of 16, or of 32 for a U-Net as first stage, and the result cropped back.

    With ``coarse_only`` set on the object the second stage is left out: ``refined`` is the coarse result then, and the
    embedding is 0. It serves for training the first stage by itself, and is not saved.

    Args:
        base_channels: the width c, even. 68 M parameters at c = 32, growing with c².
        reference: has the four reference channels.
        coarse: the first stage: ``"dilated"`` is :class:`CoarseNet`, ``"unet"`` is :class:`CoarseUNet`.
        skips: of the second stage, :class:`RefineNet`: ``"deep"`` or ``"all"``.
        self_ensemble: in eval mode the first stage also sees the padded image mirrored, and the mean of both results is
            its result: nearer to the truth for things that could as well be the other way round, faces among them, at
            the price of a second pass through the first stage.

    Shapes:
        image (B, 3, H, W) in [−1, 1]; mask (B, 1, H, W), 1 = hole; reference (B, 3, H, W) in [−1, 1]; reference_mask
        (B, 1, H, W), 1 = known there, by default everywhere → :class:`InpaintOutput`. The image has the type of the
        weights; the others may be of any floating-point type.

    Raises:
        TypeError: an argument is no floating-point tensor.
        ValueError: an odd width, an unknown first stage, unknown skips, shapes that do not match, a reference for a
            generator without reference channels, a reference_mask without reference.

    Departs from the paper:
        The hole is zero after normalising to [−1, 1]; the coarse result is composited before it is refined; the refined
        result is clipped in eval mode, where the paper has no last activation; the reference channels are an addition
        (the released code pasted the warped pixels into the hole), and so are ``coarse="unet"``, ``skips="all"`` and
        ``self_ensemble``.

    Reference:
        Lumetti et al., "Mask inpainting with a GAN network". Self-ensemble: Lim et al., "Enhanced Deep Residual
        Networks for Single Image Super-Resolution", CVPRW 2017.

    Example:
        >>> generator = InpaintGenerator(2).eval()
        >>> image, mask = torch.zeros(1, 3, 37, 50), torch.zeros(1, 1, 37, 50)
        >>> mask[..., 10:20, 10:30] = 1
        >>> generator(image, mask).refined.shape
        torch.Size([1, 3, 37, 50])
    """

    def __init__(
        self,
        base_channels: int = 32,
        *,
        reference: bool = True,
        coarse: Literal["dilated", "unet"] = "dilated",
        skips: Skips = "deep",
        self_ensemble: bool = False,
    ) -> None:
        super().__init__()
        if coarse not in _FIRST_STAGES:
            raise ValueError(f"coarse must be one of {tuple(_FIRST_STAGES)}; got {coarse!r}.")
        self.base_channels = check_width(base_channels)
        self.reference = reference
        self.self_ensemble = self_ensemble
        self.coarse_only = False
        self._first_stage = coarse
        in_channels = _INPUT_CHANNELS * (2 if reference else 1)
        first_stage, multiple = _FIRST_STAGES[coarse]
        self.size_multiple = multiple
        """What height and width are padded to a multiple of."""
        self.coarse = first_stage(base_channels, in_channels=in_channels)
        self.refine = RefineNet(base_channels, in_channels=in_channels, skips=skips)
        init_weights(self)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that build this network again."""
        config = {"base_channels": self.base_channels, "reference": self.reference}
        options = {
            "coarse": (self._first_stage, "dilated"),
            "skips": (self.refine.skips, "deep"),
            "self_ensemble": (self.self_ensemble, False),
        }
        return config | {name: value for name, (value, default) in options.items() if value != default}

    def forward(
        self, image: Tensor, mask: Tensor, reference: Tensor | None = None, reference_mask: Tensor | None = None
    ) -> InpaintOutput:
        """Fill the hole: see the class for shapes and ranges."""
        check_image(image)
        check_mask(mask, image)
        height, width = image.shape[2:]
        mask = (mask > 0.5).to(image.dtype)
        known = self._reference_channels(image, reference, reference_mask)
        image, mask, known = (pad_to_multiple(x, self.size_multiple) for x in (image, mask, known))
        visible = composite(torch.zeros_like(image), image, mask)  # a hole may hold anything, NaN included
        coarse = self._coarse_result(torch.cat([visible, mask, known], dim=1))
        if self.coarse_only:
            refined, embedding = coarse, coarse.new_zeros(len(coarse), 16 * self.base_channels)
        else:
            refined, embedding = self.refine(torch.cat([composite(coarse, image, mask), mask, known], dim=1))
        if not self.training:
            refined = refined.clamp(-1, 1)
        coarse, refined = (crop(x, (height, width)) for x in (coarse, refined))
        return InpaintOutput(coarse, refined, embedding)

    def _coarse_result(self, x: Tensor) -> Tensor:
        coarse: Tensor = self.coarse(x)
        if self.training or not self.self_ensemble:
            return coarse
        mirrored: Tensor = self.coarse(x.flip(-1))
        return (coarse + mirrored.flip(-1)) / 2

    def _reference_channels(self, image: Tensor, reference: Tensor | None, reference_mask: Tensor | None) -> Tensor:
        """The reference, zero where unknown, and its mask: (B, 4, H, W), or (B, 0, H, W) for a generator without."""
        if reference is None and reference_mask is not None:
            raise ValueError("reference_mask was given without reference. Pass both, or neither.")
        if not self.reference:
            if reference is not None:
                raise ValueError("this generator has no reference channels. Build it with reference=True.")
            return image[:, :0]
        if reference is None:
            return torch.zeros_like(image[:, :1]).expand(-1, 4, -1, -1)
        check_image(reference, name="reference")
        if reference.shape != image.shape:
            raise ValueError(
                f"reference must be warped to the image's {tuple(image.shape)}; got {tuple(reference.shape)}."
            )
        if reference_mask is None:
            reference_mask = torch.ones_like(image[:, :1])
        check_mask(reference_mask, image, name="reference_mask")
        reference_mask = (reference_mask > 0.5).to(image.dtype)
        reference = reference.to(image.dtype)
        return torch.cat([composite(reference, torch.zeros_like(image), reference_mask), reference_mask], dim=1)


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
