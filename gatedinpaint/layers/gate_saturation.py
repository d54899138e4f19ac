"""How many gates of a network are stuck: open or closed so far that they hardly learn."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_positive
from gatedinpaint.layers.gated_conv import GatedConv2d


@contextmanager
def gate_saturation(network: nn.Module, *, threshold: float = 10.0) -> Iterator[dict[str, float]]:
    r"""Measure the share of saturated gates of every :class:`GatedConv2d`, over the forward passes inside the block.

    A gate σ(g) counts as saturated where :math:`|g| \ge \text{threshold}`. Its gradient σ(g)(1 − σ(g)) is below 5e-5
    at the default of 10; in half precision σ(10) is exactly 1 and the gradient exactly 0.

    The dictionary, name of the layer → share in [0, 1], fills when the block ends; layers that did not run are absent.
    A compiled network does not show its layers: call the uncompiled one. If none was seen to run, there is a warning.

    Args:
        network: whatever holds gated convolutions, or one of them (its name is then empty).
        threshold: the |g| from which a gate counts.

    Raises:
        ValueError: a threshold that is not positive.

    Example:
        >>> network = nn.Sequential(GatedConv2d(3, 4, 3), GatedConv2d(4, 4, 3, bias=True))
        >>> _ = nn.init.constant_(network[1].conv.bias, 100.0)
        >>> with gate_saturation(network) as shares:
        ...     _ = network(torch.zeros(1, 3, 8, 8))
        >>> shares
        {'0': 0.0, '1': 1.0}
    """
    check_positive(threshold, name="threshold")
    counts: dict[str, list[Tensor]] = {}  # stay on the device until the block ends: no synchronisation in a pass
    gates: dict[str, int] = {}

    def watch(name: str, layer: GatedConv2d) -> torch.utils.hooks.RemovableHandle:
        def count(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
            (gate,) = inputs
            counts.setdefault(name, []).append((gate.detach().abs() >= threshold).sum())
            gates[name] = gates.get(name, 0) + gate.numel()

        return layer.sigmoid.register_forward_hook(count)

    handles = [watch(name, layer) for name, layer in network.named_modules() if isinstance(layer, GatedConv2d)]
    shares: dict[str, float] = {}
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()
        shares.update({name: sum(int(n) for n in saturated) / gates[name] for name, saturated in counts.items()})
    if handles and not shares:
        warnings.warn(
            f"none of the {len(handles)} gated convolutions was seen to run. A network that was compiled before is not "
            "seen: call the uncompiled one inside the block.",
            stacklevel=3,
        )
