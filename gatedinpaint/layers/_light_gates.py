"""Gates of fewer operations than a filter for every channel."""

from typing import Any, Literal

from torch import nn

Gate = Literal["depthwise_separable", "low_rank", "single_channel"]
GATES: tuple[Gate, ...] = ("depthwise_separable", "low_rank", "single_channel")

# "low_rank" has this share of the features' filters.
_RANK = 8


def light_gate(gate: Gate, in_channels: int, out_channels: int, *, bias: bool, geometry: dict[str, Any]) -> nn.Module:
    """The convolutions of a lightweight gate; ``geometry`` is what it shares with the features: kernel, stride, …"""
    if gate == "single_channel":
        return nn.Conv2d(in_channels, 1, bias=bias, **geometry)
    if gate == "low_rank":
        inner = max(1, out_channels // _RANK)
        spatial = nn.Conv2d(in_channels, inner, bias=False, **geometry)
    else:
        inner = in_channels
        spatial = nn.Conv2d(in_channels, inner, groups=in_channels, bias=False, **geometry)
    return nn.Sequential(spatial, nn.Conv2d(inner, out_channels, 1, bias=bias))
