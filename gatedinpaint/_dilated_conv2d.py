r"""Convolution with dilation in channels_last, trained at the rate of matrix products.

The gradient of tap (i, j) of the filters is a product of two matrices over all places p of the result,

.. math:: \partial w_{ij} = \sum_p \nabla_p\, x_{p + r (i, j)}^\top

with r the dilation. In a map with its border, whose rows follow one another, a tap is one shift of all places: nine
products of the gradient, spread with zeros to the width of the map, with the map from another place on.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint._processor import vectors
from gatedinpaint._tiles import channels_last, framed

_FEWEST = 16  # channels; with fewer it was not tried


def products_pay(x: Tensor, weight: Tensor, padding: int, dilation: int) -> bool:
    """Whether :func:`dilated_conv2d` is the faster one in training, for filters (D, C, 3, 3) in float32 on a CPU.

    oneDNN is slow at the gradient of dilated filters in channels_last with AVX2, and not with AVX-512; ``python -m
    benchmarks.speed --only spd`` prints what comes of it. The zeros cost twice the dilation in width.
    """
    width = x.shape[3] + 2 * padding - 2 * dilation
    return vectors() == "avx2" and dilation > 1 and 4 * dilation <= width and min(weight.shape[:2]) >= _FEWEST


def dilated_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, *, padding: int, dilation: int) -> Tensor:
    """``conv2d(x, weight, bias, padding=padding, dilation=dilation)`` for x in channels_last and filters of 3 × 3.

    Differentiable, also twice.
    """
    y: Tensor = _DilatedConv2d.apply(x, weight, bias, padding, dilation)
    return y


class _DilatedConv2d(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, padding: int, dilation: int) -> Tensor:
        return F.conv2d(x, weight, bias, padding=padding, dilation=dilation)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _bias, ctx.padding, ctx.dilation = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        geometry = ([1, 1], [ctx.padding] * 2, [ctx.dilation] * 2, False, [0, 0], 1)

        def plain(*wanted: bool) -> tuple[Tensor | None, ...]:
            gradients: tuple[Tensor | None, ...] = torch.ops.aten.convolution_backward(
                gradient, x, weight, [weight.shape[0]], *geometry, wanted
            )
            return gradients

        with torch.autocast("cpu", enabled=False):  # the caller may have left it on
            if torch.is_grad_enabled():  # a gradient of the gradient is wanted: autograd knows how
                return (*plain(of_x, of_weight, of_bias), None, None)
            gradient = gradient.contiguous(memory_format=torch.channels_last)
            return (
                plain(True, False, False)[0] if of_x else None,
                _by_products(x, gradient, ctx.padding, ctx.dilation) if of_weight else None,
                # Asked for it, the convolution computes the gradient of the filters as well.
                gradient.sum((0, 2, 3)) if of_bias else None,
                None,
                None,
            )


def _by_products(x: Tensor, gradient: Tensor, padding: int, dilation: int) -> Tensor:
    """The gradient of the filters, (D, C, 3, 3), out of that of the result, both in channels_last."""
    (in_channels, *size), out_channels = x.shape[1:], gradient.shape[1]
    height, width = (side + 2 * padding for side in size)
    bordered = framed(channels_last(x), padding, (height, width))
    spread = framed(channels_last(gradient), 0, (height - 2 * dilation, width))
    taps = x.new_zeros(9, out_channels, in_channels)
    for map, sent in zip(bordered.view(-1, height * width, in_channels), spread.flatten(1, 2), strict=True):
        # The last place that is sent anything lies in the last column but the border's.
        count = len(sent) - 2 * dilation
        for tap, of_tap in enumerate(taps):
            start = dilation * (tap // 3 * width + tap % 3)
            of_tap.addmm_(sent[:count].t(), map[start : start + count])
    return taps.permute(1, 2, 0).reshape(out_channels, in_channels, 3, 3)
