"""A copy of a network that only predicts."""

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from gatedinpaint._conv2d import keep_filters
from gatedinpaint.models._low_rank import merge_updates

Network = TypeVar("Network", bound=nn.Module)


def optimize_for_inference(network: Network) -> Network:
    """A copy of ``network`` that only predicts; its results agree to 1e-4, usually 1e-5.

    - Weights behind a parametrization (spectral norm) are computed once, not at every pass.
    - Weights that :func:`minimal_filtering` transforms are transformed at the first pass and kept, which takes four
      times their memory more; so it pays for more layers. Whoever changes the copy's weights in place must not do it
      through ``.data``, which the copy cannot see.
    - A generator with a ``reference_rank`` has the weights of both its ways, and no updates to be added at each pass.
    - Convolution weights lie channels_last, and with them all maps between the layers and the results: CPUs convolve
      faster so, and so should GPUs with tensor cores (not measured).
    - Nothing is kept for a backward pass: the copy has no gradient.

    The copy is for use, the network for training and for :func:`save_model`.

    Args:
        network: for example an :class:`InpaintGenerator`; it is not changed.

    Returns:
        The copy, in eval mode, of the same class.

    Example:
        >>> from gatedinpaint import InpaintGenerator
        >>> generator = InpaintGenerator(2).eval()
        >>> image, mask = torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
        >>> fast = optimize_for_inference(generator)(image, mask)
        >>> torch.allclose(fast.refined, generator(image, mask).refined, atol=1e-4)
        True
    """
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(fast.modules()):
        if parametrize.is_parametrized(module):
            _compute_weights(module)
    merge_updates(fast)
    keep_filters(fast)
    return fast.to(memory_format=torch.channels_last)


def _compute_weights(module: nn.Module) -> None:
    """Replace what is computed by a parametrization with its value.

    Not by ``parametrize.remove_parametrizations``: it takes the attribute from the class, which a copy shares with the
    module that it was made of.
    """
    values = {name: getattr(module, name).detach().clone() for name in module.parametrizations}  # type: ignore[union-attr]
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        setattr(module, name, nn.Parameter(value, requires_grad=False))
