"""What a square kernel does to sizes, for the convolutions that check what they are given."""

from operator import index
from typing import Literal, NamedTuple, SupportsIndex

from torch import Tensor, nn

from gatedinpaint._checks import check_count

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
_PADDING_MODES: tuple[PaddingMode, ...] = ("zeros", "reflect", "replicate", "circular")


class Geometry(NamedTuple):
    """Kernel, stride, padding and dilation, the same in height and width."""

    kernel_size: int
    stride: int
    padding: int
    dilation: int
    padding_mode: PaddingMode

    @property
    def reach(self) -> int:
        """Pixels from the first tap of the kernel to the last, both included."""
        return self.dilation * (self.kernel_size - 1) + 1

    def check_size(self, x: Tensor) -> None:
        """Raise unless the kernel has a place on x (B, C, H, W), and its border can be made from it."""
        smallest = self.reach - 2 * self.padding
        smallest = max(smallest, {"reflect": self.padding + 1, "circular": self.padding}.get(self.padding_mode, 1))
        if smallest > 1 and any(side < smallest for side in x.shape[2:]):
            raise ValueError(
                f"x must be at least {smallest} pixels high and wide for kernel_size={self.kernel_size}, "
                f"dilation={self.dilation}, padding={self.padding} with {self.padding_mode}; got {tuple(x.shape)}."
            )

    def check_norm(self, x: Tensor, norm: nn.Module) -> None:
        """Raise if ``norm`` would take its statistics from a single value, which has no spread."""
        if not isinstance(norm, nn.InstanceNorm2d | nn.BatchNorm2d):
            return
        if norm.track_running_stats and not norm.training:
            return
        alone = isinstance(norm, nn.InstanceNorm2d) or x.shape[0] == 1
        smallest = self.reach - 2 * self.padding + self.stride  # for a result of two pixels
        if alone and all(side < smallest for side in x.shape[2:]):
            more = "" if isinstance(norm, nn.InstanceNorm2d) else ", or come as a batch of two or more,"
            raise ValueError(
                f"x must be at least {smallest} pixels high or wide{more} for norm {type(norm).__name__}: it needs "
                f"more than one value in a channel; got {tuple(x.shape)}."
            )


def checked_geometry(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int,
    padding: int | Literal["same"],
    dilation: int,
    groups: int,
    padding_mode: PaddingMode = "zeros",
) -> Geometry:
    """The geometry of a convolution, all of whose numbers make sense; ``"same"`` becomes a number."""
    for name, value in {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}.items():
        check_count(value, name=name)
    kernel_size = check_count(kernel_size, name="kernel_size")
    stride, dilation = check_count(stride, name="stride"), check_count(dilation, name="dilation")
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide in_channels and out_channels; got {groups} for {in_channels} and {out_channels}."
        )
    if padding_mode not in _PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {_PADDING_MODES}; got {padding_mode!r}.")
    if padding == "same":
        padding = _same_padding(kernel_size, stride, dilation)
    if not isinstance(padding, SupportsIndex) or index(padding) < 0:
        raise ValueError(f'padding must be a number of pixels, 0 or more, or "same"; got {padding!r}.')
    return Geometry(kernel_size, stride, index(padding), dilation, padding_mode)


def _same_padding(kernel_size: int, stride: int, dilation: int) -> int:
    reach = dilation * (kernel_size - 1)
    if reach % 2 and stride == 1:
        raise ValueError(
            f'padding="same" needs an odd kernel at stride 1; got kernel_size={kernel_size}, dilation={dilation}. '
            "Pass padding as a number, or choose an odd kernel_size."
        )
    return reach // 2
