"""Gated convolution: a convolution whose every output is scaled by a learned soft gate."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_image
from gatedinpaint._conv2d import Conv2d, undo_layout
from gatedinpaint.layers._gate import gated, is_own, product
from gatedinpaint.layers._geometry import PaddingMode, checked_geometry
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
    ``python -m benchmarks.gates_quality`` measures it on a toy task.

    Args:
        in_channels: channels of x.
        out_channels: channels of y.
        kernel_size: side of the square kernel.
        stride: step of the kernel.
        padding: pixels added on each side; ``"same"`` adds dilation · (kernel_size − 1) // 2, which keeps the size at
            stride 1 and gives size / stride for multiples of the stride.
        dilation: spacing of the kernel's taps.
        groups: as in :class:`torch.nn.Conv2d`. Lightweight gates see all channels.
        bias: learn b_f and b_g.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        activation: φ; ``None`` for the identity.
        norm: builds a normalisation of y from ``out_channels``, for example ``nn.BatchNorm2d``; ``None`` for none.
        gate: ``"full"``, or a lightweight one of the table above.
        spectral_norm: :func:`spectral_norm` of the weights; one σ for feature and gate, which are one matrix here.
            Save such a layer as its ``state_dict``; it cannot be pickled.

    Shapes:
        x (B, in_channels, H, W) → y (B, out_channels, H', W'), in the memory layout of x.

    Raises:
        TypeError: x is no floating-point tensor; sizes that are no whole numbers; a class as activation, a module as
            norm.
        ValueError: x of another shape, or too small for the kernel, its border or the norm; an unknown gate or padding
            mode; sizes that are not positive; groups that do not divide the channels; ``padding="same"`` for an even
            kernel at stride 1, where no symmetric padding keeps the size.

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
        padding_mode: PaddingMode = "zeros",
        activation: nn.Module | None = _DEFAULT_ACTIVATION,
        norm: Callable[[int], nn.Module] | None = None,
        gate: Literal["full"] | Gate = "full",
        spectral_norm: bool = False,
    ) -> None:
        super().__init__()
        geometry = checked_geometry(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
        )
        if gate not in ("full", *GATES):
            raise ValueError(f"gate must be one of {('full', *GATES)}; got {gate!r}.")
        _check_parts(activation, norm)
        filters = 2 * out_channels if gate == "full" else out_channels
        # Kept here: whoever replaces ``conv``, for example by an adapter around it, need not have them.
        self.in_channels, self.out_channels, self.groups, self.geometry = in_channels, out_channels, groups, geometry
        self.gate = gate
        self.conv = Conv2d(in_channels, filters, groups=groups, bias=bias, **geometry._asdict())
        self.gate_conv = (
            None
            if gate == "full"
            else light_gate(gate, in_channels, out_channels, bias=bias, geometry=geometry._asdict())
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
        check_image(x, name="x", channels=self.in_channels)
        self.geometry.check_size(x)
        if self.norm is not None:
            self.geometry.check_norm(x, self.norm)
        y = self.conv(x)
        if self.gate_conv is not None:
            y = self._normalized(product(y, self.gate_conv(x), self.activation, self.sigmoid))
        else:
            y = self._gated(y, own=is_own(self.conv, Conv2d))
        return undo_layout(y, x, self.conv)

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"{self.in_channels}, {self.out_channels}, gate={self.gate!r}"

    def _gated(self, y: Tensor, *, own: bool) -> Tensor:
        """Out of the fused convolution's result, (B, 2 · out_channels, H', W'), which is ``own`` or not."""
        if self.groups == 1:
            return self._normalized(gated(y, self.activation, self.sigmoid, own=own))
        parts = y.chunk(2 * self.groups, dim=1)  # each group of filters holds its features, then its gates
        feature, gate = torch.cat(parts[::2], dim=1), torch.cat(parts[1::2], dim=1)
        return self._normalized(product(feature, gate, self.activation, self.sigmoid))

    def _normalized(self, y: Tensor) -> Tensor:
        return y if self.norm is None else self.norm(y)


def _check_parts(activation: object, norm: object) -> None:
    """Raise for a class where an object is wanted, and the other way round."""
    if isinstance(activation, type) or not (activation is None or callable(activation)):
        raise TypeError(f"activation must be a module such as nn.ELU(), or None; got {activation!r}.")
    if isinstance(norm, nn.Module) or not (norm is None or callable(norm)):
        raise TypeError(f"norm must make a module out of out_channels, as nn.BatchNorm2d does; got {norm!r}.")
