"""Gated convolution: a convolution whose every output is scaled by a learned soft gate."""

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_positive
from gatedinpaint.layers._enlarged_conv import enlarged_conv2d
from gatedinpaint.layers._light_gates import GATES, Gate, light_gate
from gatedinpaint.layers.spectral_norm import spectral_norm as normalize_spectrum

_DEFAULT_ACTIVATION = nn.LeakyReLU(0.2)


class GatedConv2d(nn.Module):
    r"""Gated convolution.

    .. math:: y = \phi(W_f * x + b_f) \odot \sigma(W_g * x + b_g)

    Feature and gate are separate filters, computed as *one* convolution with twice the channels: the same result as two
    convolutions, with one pass over the input. ``conv.weight[:out_channels]`` is W_f, the rest W_g; with groups, this
    order holds within each group.

    A lightweight ``gate`` costs less than the features do: ``conv`` then holds W_f alone, ``gate_conv`` the gate. With
    k = kernel_size, the gate's multiply-adds per position, of which each is one weight:

    - ``"full"``: in · out · k², a filter for every channel;
    - ``"low_rank"``: out / 8 · (in · k² + out), an eighth of the filters, then 1×1: every gate is a mixture of these;
    - ``"depthwise_separable"``: in · (k² + out), one filter for each input channel, then 1×1;
    - ``"single_channel"``: in · k², one gate for all channels: it says where, no longer what.

    They cost quality: the fewer patterns a gate can tell apart, the nearer the layer is to a plain convolution.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel_size: side of the square kernel.
        stride: step of the kernel.
        padding: pixels added on each side; ``"same"`` adds dilation · (kernel_size − 1) // 2, which keeps the size at
            stride 1 and gives size / stride for even sizes.
        dilation: spacing of the kernel's taps.
        groups: as in :class:`torch.nn.Conv2d`. Lightweight gates see all channels.
        bias: learn b_f and b_g.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        activation: φ; ``None`` for the identity.
        norm: builds a normalisation of y from ``out_channels``, for example ``nn.BatchNorm2d``; ``None`` for none.
        gate: ``"full"``, or a lightweight one of the table above.
        spectral_norm: :func:`spectral_norm` of the weights; one σ for feature and gate, which are one matrix here.

    Shapes:
        x (B, in_channels, H, W) → y (B, out_channels, H', W'), in the memory layout of x.

    Raises:
        TypeError: x is no floating-point tensor.
        ValueError: x of another shape, or too small for the kernel or its border; an unknown gate; sizes that are not
            positive; groups that do not divide the channels; ``padding="same"`` for an even kernel at stride 1, where
            no symmetric padding keeps the size.

    Departs from the paper:
        The released code used one filter for both feature and gate; the paper's formula has two, and so has this.
        The paper has no normalisation; the released code had BatchNorm after the gate: ``norm=nn.BatchNorm2d``.

    Reference:
        Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019. Depthwise-separable and
        single-channel gates: Yi et al., "Contextual Residual Aggregation for Ultra High-Resolution Image Inpainting",
        CVPR 2020.

    Example:
        >>> import torch
        >>> GatedConv2d(4, 8, 3, stride=2)(torch.randn(1, 4, 32, 32)).shape
        torch.Size([1, 8, 16, 16])
        >>> light = GatedConv2d(64, 64, 3, gate="single_channel")
        >>> sum(p.numel() for p in light.gate_conv.parameters())  # 64 · 3² weights and a bias; a full gate has 36,928
        577
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
        gate: Literal["full"] | Gate = "full",
        spectral_norm: bool = False,
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
        if gate not in ("full", *GATES):
            raise ValueError(f"gate must be one of {('full', *GATES)}; got {gate!r}.")
        if padding == "same":
            padding = _same_padding(kernel_size, stride, dilation)
        geometry: dict[str, Any] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "padding_mode": padding_mode,
        }
        filters = 2 * out_channels if gate == "full" else out_channels
        self.conv = nn.Conv2d(in_channels, filters, groups=groups, bias=bias, **geometry)
        self.gate_conv = (
            None if gate == "full" else light_gate(gate, in_channels, out_channels, bias=bias, geometry=geometry)
        )
        if spectral_norm:
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d):
                    normalize_spectrum(layer)
        # The shared default has no state, but a module belongs to one parent: hooks set on it must not spread.
        self.activation = nn.LeakyReLU(0.2) if activation is _DEFAULT_ACTIVATION else activation
        self.sigmoid = nn.Sigmoid()
        self.norm = None if norm is None else norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, H', W')."""
        check_image(x, name="x", channels=self.conv.in_channels)
        check_size(x, self.conv)
        if self.gate_conv is None:
            return self._gated(*self._halves(self.conv(x)))
        return self._gated(self.conv(x), self.gate_conv(x))

    def _gated(self, feature: Tensor, gate: Tensor) -> Tensor:
        if self.activation is not None:
            feature = self.activation(feature)
        y: Tensor = feature * self.sigmoid(gate)
        return y if self.norm is None else self.norm(y)

    def _halves(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Feature and gate out of the fused result: each group of filters holds its features, then its gates."""
        parts = y.chunk(2 * self.conv.groups, dim=1)
        if self.conv.groups == 1:
            return parts[0], parts[1]
        return torch.cat(parts[::2], dim=1), torch.cat(parts[1::2], dim=1)


class GatedUpsample2d(nn.Module):
    """Enlarge, then apply a gated convolution: the decoder's step, without a transposed convolution's checkerboard.

    With the default options the enlarged map is never made: on a CPU, for contiguous x, the same sums are computed on
    the small map, with taps that meet the same pixel added beforehand. This needs 4/9 of the operations. Hooks on
    ``gated_conv.conv`` are not called then.

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
        TypeError: x is no floating-point tensor.
        ValueError: x of another shape; an unknown mode; whatever :class:`GatedConv2d` refuses.

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
        self.adds_taps = (kernel_size, scale_factor, mode) == (3, 2, "nearest") and _is_plain(self.gated_conv)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, scale · H, scale · W)."""
        gated_conv, conv = self.gated_conv, self.gated_conv.conv
        check_image(x, name="x", channels=conv.in_channels)
        # In channels_last interleaving costs what the convolution saves; a traced graph should stay the plain one.
        if self.adds_taps and x.device.type == "cpu" and x.is_contiguous() and not torch.compiler.is_compiling():
            return gated_conv._gated(*gated_conv._halves(enlarged_conv2d(x, conv.weight, conv.bias)))
        align_corners = None if self.mode == "nearest" else False
        enlarged = F.interpolate(x, scale_factor=self.scale_factor, mode=self.mode, align_corners=align_corners)
        y: Tensor = gated_conv(enlarged)
        return y

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"scale_factor={self.scale_factor}, mode={self.mode!r}"


def _is_plain(layer: GatedConv2d) -> bool:
    """Whether all that it does to pixels is one 3×3 convolution with a border of zeros."""
    conv = layer.conv
    geometry = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, conv.padding_mode)
    return geometry == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros") and layer.gate_conv is None


def check_size(x: Tensor, conv: nn.Conv2d) -> None:
    """Raise unless ``conv`` has a place on x (B, C, H, W), and its border can be made from it."""
    padding, mode = int(conv.padding[0]), conv.padding_mode
    smallest = conv.dilation[0] * (conv.kernel_size[0] - 1) + 1 - 2 * padding
    smallest = max(smallest, {"reflect": padding + 1, "circular": padding}.get(mode, 1))
    if smallest > 1 and any(side < smallest for side in x.shape[2:]):
        raise ValueError(
            f"x must be at least {smallest} pixels high and wide for kernel_size={conv.kernel_size[0]}, "
            f"dilation={conv.dilation[0]}, padding={padding} with {mode}; got {tuple(x.shape)}."
        )


def _same_padding(kernel_size: int, stride: int, dilation: int) -> int:
    reach = dilation * (kernel_size - 1)
    if reach % 2 and stride == 1:
        raise ValueError(
            f'padding="same" needs an odd kernel at stride 1; got kernel_size={kernel_size}, dilation={dilation}. '
            "Pass padding as a number, or choose an odd kernel_size."
        )
    return reach // 2
