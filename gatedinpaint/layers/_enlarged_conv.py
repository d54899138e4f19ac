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
        x (B, C, H, W), weight (D, C, 3, 3), bias (D) → (B, D, 2H, 2W), in the memory layout of x.
    """
    height, width = x.shape[2:]
    filters = _add_taps(_add_taps(weight, dim=2), dim=4)  # (2, 2, D, C, 2, 2): column's phase, row's phase, filter
    biases = None if bias is None else bias.repeat(4)
    y = F.conv2d(x, filters.flatten(0, 2), biases, padding=1)  # one row and column more than each phase needs
    channels_last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    channels, rows, columns = (3, 1, 2) if channels_last else (1, 2, 3)  # where they stand in memory
    if channels_last:
        y = y.permute(0, 2, 3, 1)
    phases = [
        y.chunk(2, channels)[column].chunk(2, channels)[row].narrow(rows, row, height).narrow(columns, column, width)
        for row in (0, 1)
        for column in (0, 1)
    ]
    # Interleaved along the columns, then along the rows.
    halves = [torch.stack(phases[:2], dim=columns + 1), torch.stack(phases[2:], dim=columns + 1)]
    enlarged = torch.stack(halves, dim=rows + 1).flatten(columns + 1, columns + 2).flatten(rows, rows + 1)
    return enlarged.permute(0, 3, 1, 2) if channels_last else enlarged


def _add_taps(weight: Tensor, *, dim: int) -> Tensor:
    """Three taps along ``dim`` → two for the even and two for the odd outputs, stacked in front."""
    first, second, third = weight.unbind(dim)
    return torch.stack([torch.stack([first, second + third], dim), torch.stack([first + second, third], dim)])
