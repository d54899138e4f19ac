"""``torch.nn.Conv2d`` that multiplies less where that is faster."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gatedinpaint._memory import keep_freed_memory
from gatedinpaint._minimal_filtering import filter_points, filtered_conv2d

_mode: ContextVar[Literal["auto", "always", "never"]] = ContextVar("minimal_filtering", default="auto")


class _Costs(NamedTuple):
    """Costs of minimal filtering in multiplications of a plain convolution.

    Estimated with AVX-512; ``python -m benchmarks.filtering`` prints what they decide.
    """

    product: float
    """A multiplication in a product of matrices, which runs at a lower rate."""
    channel: float
    """A number transformed there and back."""
    filter: float
    """A weight transformed and read."""
    kept_filter: float
    """A weight transformed beforehand, and read."""


_ONE_THREAD = _Costs(2.0, 75.0, 3000.0, 500.0)
# Threads share a plain convolution better than small products.
_MORE_THREADS = _Costs(2.6, 45.0, 4200.0, 500.0)
_WORTH_IT = 0.95


@contextmanager
def minimal_filtering(mode: Literal["auto", "always", "never"]) -> Iterator[None]:
    """Choose inside the block how the 3×3 convolutions of this package are computed on a CPU, in float32.

    By minimal filtering (Winograd) they need a quarter of the multiplications, and transforms besides. Results differ
    from those of plain summation by rounding, a few millionths of the largest.

    Args:
        mode: ``"auto"``, where it is faster (what happens outside of any block); ``"always"``, wherever it can be done:
            stride 1, no groups, nothing traced or compiled, no autocast; ``"never"``.

    Raises:
        ValueError: another mode.

    Example:
        >>> from gatedinpaint import GatedConv2d
        >>> layer, x = GatedConv2d(64, 64, 3), torch.randn(1, 64, 32, 32)
        >>> with torch.no_grad(), minimal_filtering("never"):
        ...     exact = layer(x)
        >>> torch.allclose(layer(x), exact, atol=1e-4)
        True
    """
    if mode not in ("auto", "always", "never"):
        raise ValueError(f'mode must be "auto", "always" or "never"; got {mode!r}.')
    token = _mode.set(mode)
    try:
        yield
    finally:
        _mode.reset(token)


class Conv2d(nn.Conv2d):
    """:class:`torch.nn.Conv2d`, with the same parameters, names and results, at less cost.

    - In float32 on a CPU by minimal filtering, where that is faster; the result then lies in channels_last.
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
        if self._filters(input, weight):
            padding = int(self.padding[0])
            if self.padding_mode == "zeros":
                return self._filtered(input, weight, padding)
            return self._filtered(self._with_border(input), weight, 0)
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
        if self._filters(x, weight):
            return self._filtered(x, weight, 0)
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

    def _filters(self, x: Tensor, weight: Tensor) -> bool:
        """Whether minimal filtering can be used, and is wanted."""
        mode = _mode.get()
        if mode == "never" or self.kernel_size != (3, 3) or self.stride != (1, 1) or self.groups != 1:
            return False
        if self.dilation[0] != self.dilation[1] or self.padding[0] != self.padding[1] or isinstance(self.padding, str):
            return False
        if (
            torch.compiler.is_compiling()
            or torch._C._get_tracing_state() is not None
            or torch._C._are_functorch_transforms_active()
        ):
            return False
        if torch.is_autocast_enabled("cpu") or torch.autograd.forward_ad._current_level >= 0:
            return False
        if not (_is_plain(x) and _is_plain(weight)):
            return False
        keep_freed_memory()
        return mode == "always" or self._is_faster(x)

    def _is_faster(self, x: Tensor) -> bool:
        dilation, padding = self.dilation[0], int(self.padding[0])
        height, width = (side + 2 * padding - 2 * dilation for side in x.shape[2:])
        tiles = x.shape[0] * dilation**2 * -(-height // (4 * dilation)) * -(-width // (4 * dilation))
        products, channels = self.in_channels * self.out_channels, self.in_channels + self.out_channels
        costs = _ONE_THREAD if torch.get_num_threads() == 1 else _MORE_THREADS
        fewer = tiles * 36 * (costs.product * products + costs.channel * channels)
        fewer += products * (costs.kept_filter if self.keeps_filters else costs.filter)
        return fewer < _WORTH_IT * x.shape[0] * height * width * 9 * products


def keep_filters(network: nn.Module) -> None:
    """Let every :class:`Conv2d` of a network whose weights stay as they are transform its weight once only."""
    for module in network.modules():
        if isinstance(module, Conv2d):
            module.keeps_filters = True


def _is_plain(x: Tensor) -> bool:
    """No subclass that stands for something else, such as a traced tensor."""
    return type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" and x.dtype == torch.float32


def undo_layout(y: Tensor, x: Tensor, layer: nn.Module) -> Tensor:
    """y in plain layout if that is what ``torch.nn.Conv2d`` would have made of x: neither x nor its weight is other."""
    if torch.compiler.is_compiling() or not isinstance(layer, Conv2d):
        return y
    parts: Any = getattr(layer, "parametrizations", None)
    # Weight normalisation computes a weight from two tensors.
    stored = parts.weight.parameters(recurse=False) if is_parametrized(layer, "weight") else (layer.weight,)
    return y.contiguous() if x.is_contiguous() and all(tensor.is_contiguous() for tensor in stored) else y
