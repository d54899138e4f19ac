"""φ(feature) ⊙ σ(gate), and when it may overwrite what it is given."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gatedinpaint._checks import has_values


def gated(feature: Tensor, gate: Tensor, activation: nn.Module | None, *, sigmoid: nn.Module, own: bool) -> Tensor:
    """The product, in one new map where nothing has to be kept for a gradient, instead of three.

    Args:
        feature, gate: results of the convolutions.
        activation, sigmoid: the layer's modules; one that somebody watches is called.
        own: nobody else holds feature and gate.
    """
    own = own and not (feature.requires_grad or gate.requires_grad) and not _is_watched(feature)
    on_all_modules: Any = nn.modules.module._has_any_global_hook  # such a hook may have kept what the convolution made
    own = own and not on_all_modules()
    if activation is not None:
        if own and type(activation) is nn.LeakyReLU and call_is_forward(activation):
            feature = F.leaky_relu_(feature, activation.negative_slope)
        else:
            # Half of the convolution's result may not be changed in place while a gradient is recorded.
            feature = activation(feature.clone() if feature.requires_grad and _is_in_place(activation) else feature)
    plain = own and type(sigmoid) is nn.Sigmoid and call_is_forward(sigmoid)
    return feature * (gate.sigmoid_() if plain else sigmoid(gate))


def call_is_forward(module: nn.Module) -> bool:
    """Whether calling the module runs the forward of its class, and nothing before or after it."""
    hooks = (module._forward_pre_hooks, module._forward_hooks, module._backward_pre_hooks, module._backward_hooks)
    return not (any(hooks) or "forward" in vars(module))


def is_own(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the module is of the very class, apart from parametrizations, and is called without hooks."""
    return parametrize.type_before_parametrizations(module) is kind and call_is_forward(module)


def _is_in_place(activation: object) -> bool:
    """Whether a module, or one in it, says that it changes its input."""
    parts = activation.modules() if isinstance(activation, nn.Module) else ()
    return any(getattr(part, "inplace", False) for part in parts)


def _is_watched(x: Tensor) -> bool:
    """Whether operations are being recorded or transformed, where a plain graph without writing in place is wanted."""
    return torch.autograd.forward_ad._current_level >= 0 or not has_values(x)
