"""Partial convolution: a convolution over the known pixels only, and the hole that is left after it."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_mask
from gatedinpaint.layers._gate import is_own
from gatedinpaint.layers._geometry import checked_geometry


class PartialConv2d(nn.Module):
    r"""Partial convolution.

    .. math::
        y = \begin{cases} W * (x \odot v) \cdot \dfrac{n}{s} + b & s > 0 \\ 0 & s = 0 \end{cases},
        \qquad v = 1 - m, \qquad m' = [\, s = 0 \,]

    For every position of the kernel, s counts the known pixels under it and n all pixels of the map under it. What the
    hole holds is never seen, NaN included. The hole shrinks: m′ is a hole only where the kernel saw nothing known.

    Borders: padding is neither known nor hole. It counts in neither s nor n, so that without a hole the layer equals
    :class:`torch.nn.Conv2d` with zero padding, and a map whose border is known keeps it known. A kernel that lies on
    padding alone sees nothing known.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel_size: side of the square kernel.
        stride: step of the kernel.
        padding: pixels added on each side; ``"same"`` as in :class:`GatedConv2d`.
        dilation: spacing of the kernel's taps.
        groups: as in :class:`torch.nn.Conv2d`.
        bias: learn b. It is not scaled by n / s.

    Shapes:
        x (B, in_channels, H, W), mask (B, 1, H, W) with 1 = hole, cut at 0.5 → y (B, out_channels, H', W') and the
        updated mask (B, 1, H', W') in {0, 1}, of the type of the mask.

    Raises:
        TypeError: x or mask is no floating-point tensor; sizes that are no whole numbers.
        ValueError: x too small for the kernel; sizes that are not positive; groups that do not divide the channels;
            ``padding="same"`` for an even kernel at stride 1; shapes that do not match; a mask with values beyond 0 and
            1 (looked at on a CPU alone).

    Departs from the paper:
        Its n is the constant size of the kernel, which counts padding as hole and brightens the borders of a map
        without a hole. Its mask has a channel for each channel of x; here one mask holds for all.

    Reference:
        Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018, Eq. 1 and 2.

    Example:
        >>> layer, mask = PartialConv2d(4, 8, 3), torch.zeros(1, 1, 9, 9)
        >>> mask[..., 2:7, 2:7] = 1
        >>> y, smaller = layer(torch.randn(1, 4, 9, 9), mask)
        >>> y.shape, mask.sum().item(), smaller.sum().item()
        (torch.Size([1, 8, 9, 9]), 25.0, 9.0)
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
    ) -> None:
        super().__init__()
        self.geometry = checked_geometry(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, dilation=dilation, groups=groups
        )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.conv = nn.Conv2d(in_channels, out_channels, groups=groups, bias=bias, **self.geometry._asdict())

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, in_channels, H, W), mask (B, 1, H, W) → y (B, out_channels, H', W'), mask (B, 1, H', W')."""
        check_image(x, name="x", channels=self.in_channels)
        check_mask(mask, x, image_name="x")
        self.geometry.check_size(x)
        hole = mask > 0.5
        y, bias = self._sums(x.masked_fill(hole, 0))
        size = y.shape[2:]
        known = self._count(~hole, size)
        # Without padding every position covers as many pixels as the kernel has taps.
        inside = self._count(torch.ones_like(hole[:1]), size) if self.geometry.padding else self.geometry.kernel_size**2
        seen = known > 0
        ratio = inside / known.to(torch.promote_types(y.dtype, torch.float32)).clamp(min=1) * seen
        y = y * ratio.to(y.dtype)  # scaled, and 0 where nothing was seen, in one pass over y
        if bias is not None:
            y = y.addcmul_(bias.to(y.dtype)[:, None, None], seen.to(y.dtype))
        return y, (~seen).to(mask.dtype)

    def _sums(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """W * x without the bias, and the bias."""
        conv = self.conv
        if is_own(conv, nn.Conv2d):
            weight, bias = conv.weight, conv.bias
            return F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups), bias
        # A call does more than the weight says: there is a hook, as after pruning, or an adapter around the layer.
        y, bias = conv(x), getattr(conv, "bias", None)
        return (y if bias is None else y - bias.to(y.dtype)[:, None, None]), bias

    def _count(self, pixels: Tensor, size: torch.Size) -> Tensor:
        """How many of the marked pixels (B, 1, H, W) each position of the kernel covers: (B, 1, H', W') in float32."""
        kernel_size, stride, padding, dilation, _ = self.geometry
        # Not a convolution of ones: autocast would count in half precision, and some algorithms do not count exactly.
        # Columns first, then rows: 2k copies of the mask instead of k².
        width = pixels.shape[3]
        down = F.unfold(pixels.float(), (kernel_size, 1), (dilation, 1), (padding, 0), (stride, 1)).sum(1, keepdim=True)
        down = torch.unflatten(down, 2, (size[0], width))
        across = F.unfold(down, (1, kernel_size), (1, dilation), (0, padding), (1, stride)).sum(1, keepdim=True)
        return torch.unflatten(across, 2, size)
