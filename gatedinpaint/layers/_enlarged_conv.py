"""A 3×3 convolution of a map enlarged twofold, computed on the small map with 4/9 of the operations."""

import torch
import torch.nn.functional as F
from torch import Tensor


def enlarged_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    r"""``conv2d(interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)``.

    The enlarged map repeats every pixel, so of the three taps in a row two always meet the same pixel, and can be
    added beforehand. Which two depends on the output's row being even or odd:

    .. math:: y_{2i} = w_0 x_{i-1} + (w_1 + w_2) x_i, \qquad y_{2i+1} = (w_0 + w_1) x_i + w_2 x_{i+1}

    The same in columns: 2×2 filters, four times as many, whose results interleave.

    Shapes:
        x (B, C, H, W), weight (D, C, 3, 3), bias (D) → (B, D, 2H, 2W), contiguous.
    """
    height, width = x.shape[2:]
    filters = _add_taps(_add_taps(weight, dim=2), dim=4)  # (2, 2, D, C, 2, 2): column's phase, row's phase, filter
    biases = None if bias is None else bias.repeat(4)
    y = F.conv2d(x, filters.flatten(0, 2), biases, padding=1)  # one row and column more than each phase needs
    phases = [
        y.chunk(2, 1)[column].chunk(2, 1)[row][..., row : row + height, column : column + width]
        for row in (0, 1)
        for column in (0, 1)
    ]
    rows = [torch.stack(phases[:2], dim=-1), torch.stack(phases[2:], dim=-1)]
    return torch.stack(rows, dim=3).flatten(4, 5).flatten(2, 3)


def _add_taps(weight: Tensor, *, dim: int) -> Tensor:
    """Three taps along ``dim`` → two for the even and two for the odd outputs, stacked in front."""
    first, second, third = weight.unbind(dim)
    return torch.stack([torch.stack([first, second + third], dim), torch.stack([first + second, third], dim)])
