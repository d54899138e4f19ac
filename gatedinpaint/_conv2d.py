"""``torch.nn.Conv2d`` that computes the same with less work."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gatedinpaint._checks import has_values
from gatedinpaint._dilated_conv2d import dilated_conv2d, products_pay
from gatedinpaint._filtering_choice import filtering_wanted
from gatedinpaint._memory import keep_freed_memory
from gatedinpaint._minimal_filtering import filter_points, filtered_conv2d
from gatedinpaint._narrow_conv2d import is_narrow, narrow_conv2d
from gatedinpaint._processor import vectors
from gatedinpaint._tiles import channels_last


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d`, with the same parameters, names and results, at less cost.

    - In float32 on a CPU by minimal filtering, where that is faster; the result then lies in channels_last. To a few
      channels by rows of the filters.
    - Under autocast the border is made in the autocast's own type. PyTorch sends ``F.pad(mode="replicate")`` to float32
      there: it enlarges the map, pads, and rounds again, although padding computes nothing.

    Example:
        >>> layer = Conv2d(3, 4, 3, padding=1, padding_mode="replicate")
        >>> x = torch.randn(1, 3, 8, 8)
        >>> torch.equal(layer(x), nn.Conv2d.forward(layer, x))
        True
    """

    keeps_filters = False
    """Transform the weight once, until it changes: for weights that stay. Writing into ``.data`` is not seen."""
    _kept: tuple[int, int, Tensor, Tensor] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → y (B, out_channels, H', W')."""
        weight = self.weight  # read once: a parametrization computes it anew each time
        if own := self._own_way(input, weight):
            if self.padding_mode == "zeros":
                return own(input, weight, int(self.padding[0]))
            return own(self._with_border(input), weight, 0)
        kind = input.device.type
        if (
            self.padding_mode == "zeros"
            or kind == "meta"  # knows no autocast
            or input.dtype is torch.float64  # which autocast leaves alone
            or torch.compiler.is_compiling()
            or not torch.is_autocast_enabled(kind)
        ):
            if self.padding_mode != "circular":
                y: Tensor = self._conv_forward(input, weight, self.bias)
                return y
            padded = self._with_border(input)
        else:
            with torch.autocast(kind, enabled=False):
                padded = self._with_border(input.to(torch.get_autocast_dtype(kind)))
        return F.conv2d(padded, weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def without_border(self, x: Tensor) -> Tensor:
        """The same with ``padding=0``, for an x that has its border already."""
        weight = self.weight
        if own := self._own_way(x, weight, has_border=True):
            return own(x, weight, 0)
        return F.conv2d(x, weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _with_border(self, x: Tensor) -> Tensor:
        padded = F.pad(x, self._reversed_padding_repeated_twice, self.padding_mode)
        if self.padding_mode != "circular" or torch.compiler.is_compiling() or x.is_contiguous():
            return padded
        # It comes in plain layout, whatever x has.
        is_last = x.is_contiguous(memory_format=torch.channels_last)
        return padded.contiguous(memory_format=torch.channels_last) if is_last else padded

    def _filtered(self, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        points = self._points(weight) if self.keeps_filters else None
        return filtered_conv2d(x, weight, self.bias, padding=padding, dilation=self.dilation[0], points=points)

    def _by_rows(self, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        return narrow_conv2d(x, weight, self.bias, padding=padding)

    def _by_products(self, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        return dilated_conv2d(x, weight, self.bias, padding=padding, dilation=self.dilation[0])

    def _points(self, weight: Tensor) -> Tensor | None:
        # Neither counts its changes: a tensor made in inference mode, and one that a fused optimizer trains.
        if weight.is_inference() or weight.requires_grad:
            self._kept = None
            return None
        # The memory is kept too: another weight, also one put into the parameter's ``.data``, lies elsewhere.
        memory = weight.detach()
        if self._kept is None or self._kept[:2] != (memory.data_ptr(), weight._version):
            self._kept = (memory.data_ptr(), weight._version, memory, filter_points(memory))
        return self._kept[3]

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in super().__getstate__().items() if name != "_kept"}  # type: ignore[no-untyped-call]

    def _own_way(
        self, x: Tensor, weight: Tensor, *, has_border: bool = False
    ) -> Callable[[Tensor, Tensor, int], Tensor] | None:
        """What computes it with fewer operations, or fuller vectors, for a padding in zeros; None: PyTorch's own."""
        if self.stride != (1, 1) or self.groups != 1 or isinstance(self.padding, str) or x.ndim != 4:
            return None
        dilation, padding = self.dilation[0], int(self.padding[0])
        if self.dilation != (dilation, dilation) or self.padding != (padding, padding):
            return None
        if (
            torch.compiler.is_compiling()
            or torch._C._get_tracing_state() is not None
            or torch._C._are_functorch_transforms_active()
        ):
            return None
        if torch.is_autocast_enabled("cpu") or torch.autograd.forward_ad._current_level >= 0:
            return None
        if not (_is_plain(x) and _is_plain(weight)):
            return None
        padding = 0 if has_border else padding
        keep_freed_memory()
        if self.kernel_size == (3, 3) and filtering_wanted(
            x.shape, self.out_channels, dilation=dilation, padding=padding, kept=self.keeps_filters
        ):
            return self._filtered
        if dilation == 1 and is_narrow(weight) and x.shape[2] + 2 * padding >= self.kernel_size[0]:
            return self._by_rows
        trains = weight.requires_grad and torch.is_grad_enabled()
        if self.kernel_size == (3, 3) and trains and _is_last(x) and products_pay(x, weight, padding, dilation):
            return self._by_products
        return None


def keep_filters(network: nn.Module) -> None:
    """Let every :class:`Conv2d` of a network whose weights stay as they are transform its weight once only."""
    for module in network.modules():
        if isinstance(module, Conv2d):
            module.keeps_filters = True


def _is_plain(x: Tensor) -> bool:
    """No subclass that stands for something else, such as a traced tensor."""
    return type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" and x.dtype == torch.float32


def _is_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def for_several(x: Tensor, layers: nn.Module) -> Tensor:
    """x as the convolutions in ``layers``, which all take it, do so soonest: turned into channels_last, or as it is.

    In float32 on a CPU. Filters that lie in channels_last have every convolution turn it for itself. With AVX2 each is
    slow on a plain map; with AVX-512 turning gains nothing that can be measured, and rounds by the batch.
    """
    if not (_is_plain(x) and has_values(x)) or torch.is_autocast_enabled("cpu"):
        return x
    if not (lies_last(layers) or vectors() == "avx2"):
        return x
    if x.requires_grad and torch.is_grad_enabled():
        return x.contiguous(memory_format=torch.channels_last)
    return channels_last(x).permute(0, 3, 1, 2)


def lies_last(layers: nn.Module) -> bool:
    """Whether the first filters of some layers lie in channels_last."""
    return next((_is_last(weight) for weight in layers.parameters() if weight.ndim == 4), False)


def undo_layout(y: Tensor, x: Tensor, layer: nn.Module) -> Tensor:
    """y in plain layout if that is what ``torch.nn.Conv2d`` would have made of x: neither x nor its weight is other."""
    if torch.compiler.is_compiling() or not isinstance(layer, Conv2d):
        return y
    parts: Any = getattr(layer, "parametrizations", None)
    # Weight normalisation computes a weight from two tensors.
    stored = parts.weight.parameters(recurse=False) if is_parametrized(layer, "weight") else (layer.weight,)
    return y.contiguous() if x.is_contiguous() and all(tensor.is_contiguous() for tensor in stored) else y
