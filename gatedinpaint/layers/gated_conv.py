"""Gated convolution: a convolution whose every output is scaled by a learned soft gate."""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_positive

_DEFAULT_ACTIVATION = nn.LeakyReLU(0.2)


class GatedConv2d(nn.Module):
    r"""Gated convolution.

    .. math:: y = \phi(W_f * x + b_f) \odot \sigma(W_g * x + b_g)

    Feature and gate are separate filters, computed as *one* convolution with twice the channels: the same result as two
    convolutions, with one pass over the input. ``conv.weight[:out_channels]`` is W_f, the rest W_g; with groups, this
    order holds within each group.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel_size: side of the square kernel.
        stride: step of the kernel.
        padding: pixels added on each side; ``"same"`` adds dilation · (kernel_size − 1) // 2, which keeps the size at
            stride 1 and gives size / stride for even sizes.
        dilation: spacing of the kernel's taps.
        groups: as in :class:`torch.nn.Conv2d`.
        bias: learn b_f and b_g.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        activation: φ; ``None`` for the identity.
        norm: builds a normalisation of y from ``out_channels``, for example ``nn.BatchNorm2d``; ``None`` for none.

    Shapes:
        x (B, in_channels, H, W) → y (B, out_channels, H', W').

    Raises:
        ValueError: sizes that are not positive; groups that do not divide the channels; ``padding="same"`` for an even
            kernel at stride 1, where no symmetric padding keeps the size.

    Departs from the paper:
        The released code used one filter for both feature and gate; the paper's formula has two, and so has this.
        The paper has no normalisation; the released code had BatchNorm after the gate: ``norm=nn.BatchNorm2d``.

    Reference:
        Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019.

    Example:
        >>> import torch
        >>> GatedConv2d(4, 8, 3, stride=2)(torch.randn(1, 4, 32, 32)).shape
        torch.Size([1, 8, 16, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int | Literal["same"] = "same",
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
        activation: nn.Module | None = _DEFAULT_ACTIVATION,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("kernel_size", kernel_size),
            ("stride", stride),
            ("dilation", dilation),
        ):
            check_positive(value, name=name)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"groups must divide in_channels and out_channels; got {groups} for {in_channels} and {out_channels}."
            )
        if padding == "same":
            padding = _same_padding(kernel_size, stride, dilation)
        self.conv = nn.Conv2d(
            in_channels, 2 * out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        )
        # The shared default has no state, but a module belongs to one parent: hooks set on it must not spread.
        self.activation = nn.LeakyReLU(0.2) if activation is _DEFAULT_ACTIVATION else activation
        self.norm = None if norm is None else norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, H', W')."""
        check_image(x, name="x", channels=self.conv.in_channels)
        feature, gate = self._halves(self.conv(x))
        if self.activation is not None:
            feature = self.activation(feature)
        y: Tensor = feature * gate.sigmoid()
        return y if self.norm is None else self.norm(y)

    def _halves(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Feature and gate out of the fused result: each group of filters holds its features, then its gates."""
        if self.conv.groups == 1:
            feature, gate = y.chunk(2, dim=1)
            return feature, gate
        y = torch.unflatten(y, 1, (self.conv.groups, 2, -1))
        return y[:, :, 0].flatten(1, 2), y[:, :, 1].flatten(1, 2)


class GatedUpsample2d(nn.Module):
    """Enlarge, then apply a gated convolution: the decoder's step, without a transposed convolution's checkerboard.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel_size: side of the square kernel.
        scale_factor: enlargement of height and width.
        mode: interpolation, as in :func:`torch.nn.functional.interpolate`.
        **options: everything else that :class:`GatedConv2d` takes.

    Shapes:
        x (B, in_channels, H, W) → y (B, out_channels, scale_factor · H, scale_factor · W).

    Departs from the paper:
        Its "dilated gated convolution preceded by a resize" is read as in the released code: nearest ×2, no dilation.

    Example:
        >>> import torch
        >>> GatedUpsample2d(8, 4)(torch.randn(1, 8, 16, 16)).shape
        torch.Size([1, 4, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        *,
        scale_factor: int = 2,
        mode: Literal["nearest", "bilinear", "bicubic"] = "nearest",
        **options: Any,
    ) -> None:
        super().__init__()
        check_positive(scale_factor, name="scale_factor")
        if mode not in ("nearest", "bilinear", "bicubic"):
            raise ValueError(f'mode must be "nearest", "bilinear" or "bicubic"; got {mode!r}.')
        self.scale_factor = scale_factor
        self.mode = mode
        self.gated_conv = GatedConv2d(in_channels, out_channels, kernel_size, **options)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, scale · H, scale · W)."""
        check_image(x, name="x", channels=self.gated_conv.conv.in_channels)
        align_corners = None if self.mode == "nearest" else False
        enlarged = F.interpolate(x, scale_factor=self.scale_factor, mode=self.mode, align_corners=align_corners)
        y: Tensor = self.gated_conv(enlarged)
        return y

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"


def _same_padding(kernel_size: int, stride: int, dilation: int) -> int:
    reach = dilation * (kernel_size - 1)
    if reach % 2 and stride == 1:
        raise ValueError(
            f'padding="same" needs an odd kernel at stride 1; got kernel_size={kernel_size}, dilation={dilation}. '
            "Pass padding as a number, or choose an odd kernel_size."
        )
    return reach // 2
