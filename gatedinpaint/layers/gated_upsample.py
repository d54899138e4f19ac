"""The decoder's step: enlarge, then a gated convolution."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_count, check_image
from gatedinpaint._conv2d import Conv2d
from gatedinpaint.layers._enlarged_conv import enlarged_conv2d
from gatedinpaint.layers._gate import call_is_forward, is_own
from gatedinpaint.layers.gated_conv import GatedConv2d


class GatedUpsample2d(nn.Module):
    """Enlarge, then apply a gated convolution: the decoder's step, without a transposed convolution's checkerboard.

    With the default options the enlarged map is never made: on a CPU, for x in plain layout or channels_last, the same
    sums are computed on the small map, with taps that meet the same pixel added beforehand. This needs 4/9 of the
    operations. It reads the weights of ``gated_conv.conv`` without calling it, and so is not taken where a call would
    do more: with a hook on either (pruning is one), or another module in place of either. Hooks set for all modules at
    once are not called.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel_size: side of the square kernel.
        scale_factor: enlargement of height and width.
        mode: interpolation, as in :func:`torch.nn.functional.interpolate`.
        **options: everything else that :class:`GatedConv2d` takes.

    Shapes:
        x (B, in_channels, H, W) → y (B, out_channels, scale_factor · H, scale_factor · W).

    Raises:
        TypeError: x is no floating-point tensor; a scale_factor that is no whole number.
        ValueError: x of another shape; a scale_factor that is not positive; an unknown mode; whatever
            :class:`GatedConv2d` refuses.

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
        check_count(scale_factor, name="scale_factor")
        if mode not in ("nearest", "bilinear", "bicubic"):
            raise ValueError(f'mode must be "nearest", "bilinear" or "bicubic"; got {mode!r}.')
        self.in_channels, self.out_channels = in_channels, out_channels
        self.scale_factor = scale_factor
        self.mode = mode
        self.gated_conv = GatedConv2d(in_channels, out_channels, kernel_size, **options)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, scale · H, scale · W)."""
        check_image(x, name="x", channels=self.in_channels)
        if _is_plain(x) and self._may_add_taps():
            conv = self.gated_conv.conv
            return self.gated_conv._gated(enlarged_conv2d(x, conv.weight, conv.bias), own=True)
        align_corners = None if self.mode == "nearest" else False
        enlarged = F.interpolate(x, scale_factor=self.scale_factor, mode=self.mode, align_corners=align_corners)
        y: Tensor = self.gated_conv(enlarged)
        return y

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"

    def _may_add_taps(self) -> bool:
        """Whether calling ``gated_conv`` on the enlarged x is one 3×3 convolution with a border of zeros, then a gate.

        Asked at every call: pruning, adapters and hooks come after the layer is made.
        """
        if (self.scale_factor, self.mode) != (2, "nearest"):
            return False
        if type(self.gated_conv) is not GatedConv2d or self.gated_conv.gate_conv is not None:
            return False
        conv = self.gated_conv.conv
        if not is_own(conv, Conv2d):
            return False
        geometry = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
        if geometry != ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros"):
            return False
        return call_is_forward(self.gated_conv)


def _is_plain(x: Tensor) -> bool:
    """On a CPU, in a layout that is known, and no part of a traced graph, which should stay the plain one."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or x.device.type != "cpu":
        return False
    return x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last)
