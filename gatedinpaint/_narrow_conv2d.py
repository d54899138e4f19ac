r"""Convolution to a few channels, such as those of an image, that fills the processor's vectors.

A CPU computes eight or sixteen channels of a result at once, and of a convolution to three most of them are idle. A
filter of k × k taps is k filters of one row each, whose results are added, shifted by the row:

.. math:: y_{d,h} = \sum_{i=1}^{k} (w_{d,:,i} \star x)_{h+i}

That is one convolution to k·D channels, of as many multiplications in all, and a sum.
"""

import torch.nn.functional as F
from torch import Tensor

_MOST_OUT = 4
# With fewer channels in, the multiplications are too few for the sum.
_FEWEST_IN = 16


def is_narrow(weight: Tensor) -> bool:
    """Whether :func:`narrow_conv2d` is the faster one for filters (D, C, k, k) in float32 on a CPU."""
    out_channels, in_channels, *kernel_size = weight.shape
    return out_channels <= _MOST_OUT and in_channels >= _FEWEST_IN and min(kernel_size) > 1


def narrow_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, *, padding: int) -> Tensor:
    """``conv2d(x, weight, bias, padding=padding)``, by rows of the filters."""
    out_channels, in_channels, rows, columns = weight.shape
    by_row = weight.permute(2, 0, 1, 3).reshape(rows * out_channels, in_channels, 1, columns)
    shifted = F.conv2d(x, by_row, padding=padding).chunk(rows, dim=1)
    height = shifted[0].shape[2] - rows + 1
    y = shifted[0][:, :, :height]
    y = y if bias is None else y + bias[:, None, None]
    for row in range(1, rows):
        y = y + shifted[row][:, :, row : row + height]
    return y
