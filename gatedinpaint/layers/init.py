"""Weight initialisation for whole networks."""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gatedinpaint.layers.gated_conv import GatedConv2d
from gatedinpaint.layers.spd import SPDResBlock
from gatedinpaint.layers.spectral_norm import SpectralNorm

# 1 / sqrt(E sigmoid(g)²) for g of the variance 2 / (1 + 0.2²) that Kaiming's weights give.
_GATE_GAIN = 3**0.5
# Residual branches start small: each at full size would double the variance, and gates open wider for larger signals.
_RESIDUAL_GAIN = 0.2

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

InitMethod = Literal["kaiming", "xavier", "normal", "orthogonal"]


def init_weights(module: nn.Module, method: InitMethod = "kaiming", *, gain: float = 0.02) -> None:
    r"""Initialise every convolution, transposed convolution and linear layer in ``module`` in place; biases become 0.

    - ``"kaiming"``: normal, σ = √(2 / ((1 + 0.2²) · fan_in)), for LeakyReLU 0.2 (the default, as in the paper); the
      feature filters of a :class:`GatedConv2d` are √3 times as large, see below;
    - ``"xavier"``: normal, σ = gain · √(2 / (fan_in + fan_out));
    - ``"normal"``: normal, σ = gain;
    - ``"orthogonal"``: orthogonal rows or columns, scaled by gain.

    fan_in counts the weights that meet in one output. A transposed convolution has them in another dimension; its
    stride, which spreads them over several outputs, is not counted.

    Layers with a parametrization get the underlying weight initialised, and :func:`spectral_norm` follows it at once.
    Normalisation layers and the attention gain γ keep their own start values.

    Args:
        module: a network or a single layer.
        method: one of the four above.
        gain: scale of all but ``"kaiming"``. The 0.02 of GAN practice is meant for ``"normal"``; pass 1.0 or so for
            ``"xavier"`` and ``"orthogonal"`` to keep the variance of activations.

    Raises:
        ValueError: an unknown method; a layer whose weight is not one parameter, as after pruning or ``weight_norm``;
            with ``"kaiming"`` a :class:`GatedConv2d` whose convolution was replaced.

    Departs from the paper:
        Kaiming's σ keeps the variance of activations, but a gate multiplies them by σ(g), and E σ(g)² = 0.32 for the
        gates of a freshly initialised layer. Plain Kaiming loses that at every layer: after the 20 gated layers of the
        coarse net a signal of size 1 has become 1e-5. So feature filters are √3 ≈ 1/√0.32 times as large, and those
        that close a residual block (:class:`SPDResBlock`) are a fifth of that: without normalisation the sum would
        grow block by block.

    Reference:
        He et al., "Delving Deep into Rectifiers", ICCV 2015; Glorot and Bengio, AISTATS 2010; Saxe et al., ICLR 2014.

    Example:
        >>> layer = nn.Conv2d(100, 8, 3)
        >>> init_weights(layer, "normal", gain=0.5)
        >>> 0.45 < layer.weight.std().item() < 0.55, layer.bias.abs().max().item()
        (True, 0.0)
    """
    if method not in ("kaiming", "xavier", "normal", "orthogonal"):
        raise ValueError(f'method must be "kaiming", "xavier", "normal" or "orthogonal"; got {method!r}.')
    if method == "kaiming":
        for name, layer in module.named_modules():
            if isinstance(layer, GatedConv2d) and not isinstance(layer.conv, nn.Conv2d):
                raise ValueError(
                    f"the filters of feature and gate cannot be told apart in {name or 'the layer'}: "
                    f"a {type(layer.conv).__name__} stands in the place of its convolution. Initialise it before."
                )
    layers = [layer for layer in module.modules() if isinstance(layer, _CONVOLUTIONS + _TRANSPOSED + (nn.Linear,))]
    # All are looked up before one is changed.
    for layer, weights in [(layer, _weights(layer)) for layer in layers]:
        for weight in weights:
            if weight.is_meta:  # there is nothing to fill, and PyTorch would import its compiler, a second, to do so
                continue
            if method == "kaiming":
                nn.init.kaiming_normal_(weight, a=0.2, nonlinearity="leaky_relu")
            elif method == "xavier":
                nn.init.xavier_normal_(weight, gain=gain)
            elif method == "normal":
                nn.init.normal_(weight, std=gain)
            else:
                # Made apart: it asks for contiguous memory, which a transposed view is not, and for 32 bits or more.
                wide = torch.promote_types(weight.dtype, torch.float32)
                made = torch.empty(weight.shape, dtype=wide, device=weight.device)
                weight.detach().copy_(nn.init.orthogonal_(made, gain=gain))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if method == "kaiming":
        with torch.no_grad():
            for layer in module.modules():
                if isinstance(layer, GatedConv2d):
                    _feature_filters(layer).mul_(_GATE_GAIN)
            for block in module.modules():
                if isinstance(block, SPDResBlock):
                    _feature_filters(block.fuse).mul_(_RESIDUAL_GAIN)
    for layer in module.modules():
        if is_parametrized(layer, "weight"):
            parametrized: Any = layer
            for norm in parametrized.parametrizations.weight:
                if isinstance(norm, SpectralNorm):
                    norm.follow(_underlying_weight(layer))


def _weights(layer: nn.Module) -> list[Tensor]:
    """The weight with outputs first: that of a transposed convolution, (in, out / groups, …), group by group."""
    weight = _underlying_weight(layer)
    if not isinstance(layer, _TRANSPOSED):
        return [weight]
    return [group.transpose(0, 1) for group in weight.detach().chunk(layer.groups)]


def _feature_filters(layer: GatedConv2d) -> Tensor:
    """A view of W_f: all filters of ``conv`` beside a lightweight gate, else the first half of every group's."""
    weight = _underlying_weight(layer.conv)
    return weight if layer.gate_conv is not None else torch.unflatten(weight, 0, (layer.groups, 2, -1))[:, 0]


def _underlying_weight(layer: nn.Module) -> nn.Parameter:
    """The parameter itself, where a parametrization computes the weight from it."""
    parameters = dict(layer.named_parameters())
    for name in ("weight", "parametrizations.weight.original"):
        if name in parameters:
            return parameters[name]
    raise ValueError(
        f"the weight of a {type(layer).__name__} is computed from {', '.join(parameters)}, as after pruning or "
        "weight_norm. Initialise the layer before."
    )
