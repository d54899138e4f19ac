"""φ(feature) ⊙ σ(gate), and when it may overwrite what it is given."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gatedinpaint._checks import has_values
from gatedinpaint.layers._gated_halves import gated_halves


def gated(y: Tensor, activation: nn.Module | None, sigmoid: nn.Module, *, own: bool) -> Tensor:
    """φ(feature) ⊙ σ(gate) of a fused convolution's result, in one new map instead of three where that can be done.

    Args:
        y: (B, 2C, H, W), features and then gates.
        activation, sigmoid: the layer's modules; one that somebody watches is called.
        own: nobody else holds y, and nothing that made it needs it.
    """
    on_all_modules: Any = nn.modules.module._has_any_global_hook  # such a hook may have kept what the convolution made
    own = own and _is_plain(sigmoid) and not (on_all_modules() or _is_watched(y))
    slope = _slope(activation)
    if own and slope is not None:
        return gated_halves(y, slope)
    feature, gate = y.chunk(2, dim=1)
    return product(feature, gate, activation, sigmoid, own=own)


def product(
    feature: Tensor, gate: Tensor, activation: nn.Module | None, sigmoid: nn.Module, *, own: bool = False
) -> Tensor:
    """φ(feature) ⊙ σ(gate) by the layer's modules; a gate that is ``own``, and its sigmoid plain, is overwritten."""
    if activation is not None:
        # Half of the convolution's result may not be changed in place while a gradient is recorded.
        feature = activation(feature.clone() if feature.requires_grad and _is_in_place(activation) else feature)
    y: Tensor = feature * (gate.sigmoid_() if own and not gate.requires_grad else sigmoid(gate))
    return y


def call_is_forward(module: nn.Module) -> bool:
    """Whether calling the module runs the forward of its class, and nothing before or after it."""
    hooks = (module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks)
    return not (any(hooks) or "forward" in vars(module))


def is_own(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the module is of the very class, apart from parametrizations, and is called without hooks."""
    return parametrize.type_before_parametrizations(module) is kind and call_is_forward(module)


def _slope(activation: nn.Module | None) -> float | None:
    """Of the leaky ReLU that an activation is, 1 where it is none; None where it is something else."""
    if activation is None:
        return 1.0
    if type(activation) is nn.LeakyReLU and activation.negative_slope >= 0 and call_is_forward(activation):
        return activation.negative_slope
    return None


def _is_plain(sigmoid: nn.Module) -> bool:
    return type(sigmoid) is nn.Sigmoid and call_is_forward(sigmoid)


def _is_in_place(activation: object) -> bool:
    """Whether a module, or one in it, says that it changes its input."""
    parts = activation.modules() if isinstance(activation, nn.Module) else ()
    return any(getattr(part, "inplace", False) for part in parts)


def _is_watched(x: Tensor) -> bool:
    """Whether operations are being recorded or transformed, where a plain graph without writing in place is wanted."""
    return torch.autograd.forward_ad._current_level >= 0 or not has_values(x)
