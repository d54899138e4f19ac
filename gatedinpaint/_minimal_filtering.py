r"""Convolution by minimal filtering (Winograd): fewer multiplications than taps times results.

A filter g of 3 taps gives 4 neighbouring results out of 6 neighbouring inputs d with 6 multiplications instead of 12:

.. math:: y = A^\top \big[(G g) \odot (B^\top d)\big]

In two dimensions a tile of 4 × 4 results takes 36 multiplications instead of 144. Channels are summed between the
transforms, so the multiplications are 36 products of matrices, (tiles × C) · (C × D).

The rows of A and G are the powers of six points, and B is the inverse of these powers: 0, ±3/4, ±3/2 and infinity,
which round less than the usual 0, ±1, ±2 (``python -m benchmarks.filtering`` prints the error). Channels stand last
everywhere: every step then runs over contiguous numbers. A filter with dilation r is r² filters without, each on every
r-th row and column; this costs nothing but other strides.

Reference: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016. Choice of points: Barabasz et
al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", TOMS 2020.
"""

from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor

from gatedinpaint._products import at_full_rate
from gatedinpaint._tiles import channels_last, framed, tiling_of

_POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)  # and infinity


def filtered_conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None, *, padding: int, dilation: int, points: Tensor | None = None
) -> Tensor:
    """``conv2d(x, weight, bias, padding=padding, dilation=dilation)``, the result in channels_last.

    Differentiable, also twice; only x, weight and bias are kept for the backward pass.

    Args:
        x: (B, C, H, W).
        weight: (D, C, 3, 3).
        bias: (D) or None.
        padding: zeros on each side.
        dilation: spacing of the taps.
        points: :func:`filter_points` of the weight, if they are there already.
    """
    y: Tensor = _FilteredConv2d.apply(x, weight, bias, points, padding, dilation)
    return y


def filter_points(weight: Tensor) -> Tensor:
    """G g Gᵀ of every filter: (D, C, 3, 3) → (36, D, C)."""
    with at_full_rate():
        points = _both_ways(weight.dtype) @ weight.reshape(-1, 9).t()
    return points.view(36, *weight.shape[:2])


@cache
def _powers(count: int, dtype: torch.dtype) -> Tensor:
    """Powers 0 … count − 1 of the six points; of infinity only the highest counts."""
    powers = torch.zeros(6, count, dtype=torch.float64, device="cpu")
    powers[:5] = torch.tensor(_POINTS, dtype=torch.float64, device="cpu")[:, None] ** torch.arange(count, device="cpu")
    powers[5, -1] = 1
    return powers.to(dtype)


@cache
def _inverse(dtype: torch.dtype) -> Tensor:
    inverse: Tensor = torch.linalg.inv(_powers(6, torch.float64))
    return inverse.to(dtype)


@cache
def _both_ways(dtype: torch.dtype) -> Tensor:
    """G in rows and columns, as one matrix (36, 9)."""
    powers = _powers(3, torch.float64)
    return torch.kron(powers, powers).to(dtype)


def _transform(matrix: Tensor, tiles: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``matrix`` · tile · ``matrix``ᵀ for tiles (k, k, ...) and a matrix (n, k): (n, n, ...), in the memory of a."""
    gathered = a[: tiles.numel()].view(tiles.shape)
    if gathered.data_ptr() != tiles.data_ptr():
        gathered.copy_(tiles)
    both = _rows(matrix, _rows(matrix, gathered.flatten(2), b), a)
    return both.view(*both.shape[:2], *tiles.shape[2:])


def _rows(matrix: Tensor, tiles: Tensor, out: Tensor) -> Tensor:
    """(``matrix`` · tile)ᵀ for tiles (k, m, ·): (m, n, ·). One product for each of m, which threads can share."""
    (n, k), (m, count) = matrix.shape, tiles.shape[1:]
    result = out[: m * n * count].view(m, n, count)
    return torch.bmm(matrix.expand(m, n, k), tiles.transpose(0, 1), out=result)


def _times(tiles: Tensor, filters: Tensor, out: Tensor) -> Tensor:
    """36 products: tiles (6, 6, ..., C) · filters (36, C, D) → (6, 6, ..., D)."""
    channels = filters.shape[-1]
    flat = tiles.view(36, -1, tiles.shape[-1])
    result = out[: 36 * flat.shape[1] * channels].view(36, -1, channels)
    with at_full_rate():
        return torch.bmm(flat, filters, out=result).view(*tiles.shape[:-1], channels)


class _FilteredConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor | None, points: Tensor | None, padding: int, dilation: int
    ) -> Tensor:
        tiling, (height, width) = tiling_of(x, weight, padding, dilation)
        filters = (filter_points(weight) if points is None else points).transpose(1, 2)
        windows = tiling.windows(framed(channels_last(x), padding, tiling.padded_size()))
        size = (x.shape[0], weight.shape[0], *tiling.size())
        results = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        blocks = tiling.blocks(results.permute(0, 2, 3, 1))
        forth, back = _inverse(x.dtype).t(), _powers(4, x.dtype).t()
        a, b = tiling.scratch(x, 2)
        for samples, rows in tiling.parts():
            seen = _transform(forth, windows[:, :, samples, rows], a, b)
            found = _transform(back, _times(seen, filters, b), b, a)
            if bias is None:
                blocks[:, :, samples, rows].copy_(found)
            else:
                torch.add(found, bias, out=blocks[:, :, samples, rows])
        # No view: a later layer could not change it in place.
        whole = tiling.size() == (height, width)
        return results if whole else results[..., :height, :width].clone(memory_format=torch.channels_last)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _bias, ctx.points, ctx.padding, ctx.dilation = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # The caller may have left autocast on: these products are of the full type, as those of the forward pass were.
        with torch.autocast("cpu", enabled=False):
            return _FilteredConv2d._gradients(ctx, *gradients)

    @staticmethod
    def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # a gradient of the gradient is wanted: autograd knows how
            geometry = ([1, 1], [ctx.padding] * 2, [ctx.dilation] * 2, False, [0, 0], 1)
            plain = torch.ops.aten.convolution_backward(
                gradient, x, weight, [weight.shape[0]], *geometry, [of_x, of_weight, of_bias]
            )
            return (*plain, None, None, None)
        tiling, _ = tiling_of(x, weight, ctx.padding, ctx.dilation)
        filters = filter_points(weight) if ctx.points is None else ctx.points
        blocks = tiling.blocks(framed(channels_last(gradient), 0, tiling.size()))
        inverse, powers = _inverse(x.dtype), _powers(4, x.dtype)
        a, b, c = tiling.scratch(x, 3)
        if of_weight:
            windows = tiling.windows(framed(channels_last(x), ctx.padding, tiling.padded_size()))
            filter_gradient = torch.zeros_like(filters)
        if of_x:
            x_gradient = x.new_zeros(x.shape[0], *tiling.padded_size(), x.shape[1])
            to_x = tiling.windows(x_gradient)
        for samples, rows in tiling.parts():
            # Each step of the forward pass, transposed, in reverse.
            sent = _transform(powers, blocks[:, :, samples, rows], a, b)
            if of_weight:
                seen = _transform(inverse.t(), windows[:, :, samples, rows], b, c)
                with at_full_rate():
                    filter_gradient.baddbmm_(sent.view(36, -1, sent.shape[-1]).mT, seen.view(36, -1, seen.shape[-1]))
            if of_x:
                _add_overlapping(to_x[:, :, samples, rows], _transform(inverse, _times(sent, filters, b), b, c))
        height, width = x.shape[2:]
        return (
            _cropped(x_gradient, ctx.padding, height, width) if of_x else None,
            _taps(filter_gradient, weight) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
            None,
            None,
        )


def _add_overlapping(windows: Tensor, tiles: Tensor) -> None:
    """Add tiles to windows of which neighbours share two rows and columns; in each addition none is shared."""
    for i, j in product((slice(4), slice(4, 6)), repeat=2):
        windows[i, j].add_(tiles[i, j])


def _cropped(padded: Tensor, padding: int, height: int, width: int) -> Tensor:
    return padded[:, padding : padding + height, padding : padding + width].contiguous().permute(0, 3, 1, 2)


def _taps(filter_gradient: Tensor, weight: Tensor) -> Tensor:
    """The transpose of :func:`filter_points`."""
    with at_full_rate():
        gradient = _both_ways(weight.dtype).t() @ filter_gradient.view(36, -1)
    return gradient.t().reshape(weight.shape)
