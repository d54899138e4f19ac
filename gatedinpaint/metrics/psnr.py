"""Peak signal-to-noise ratio."""

import math

import torch
from torch import Tensor

from gatedinpaint.metrics._inputs import check_metric_inputs


def psnr(input: Tensor, target: Tensor, *, data_range: float, mask: Tensor | None = None) -> Tensor:
    r"""Peak signal-to-noise ratio of each image, in decibels.

    .. math:: \mathrm{PSNR} = 10 \log_{10} \frac{R^2}{\mathrm{MSE}}, \qquad
        \mathrm{MSE} = \frac{\sum m\,(\text{input} - \text{target})^2}{C \sum m}

    with :math:`m = 1` everywhere when there is no mask. A ``data_range`` too large by a factor f adds 20·log10(f) dB:
    255 for images in [−1, 1] adds 42.11.

    Args:
        input: (B, C, H, W).
        target: the shape of ``input``.
        data_range: :math:`R`, the highest minus the lowest possible value: 2.0 for images in [−1, 1].
        mask: (B, 1, H, W), 1 = hole: measure the hole alone. ``None`` measures the whole image.

    Returns:
        (B,) in dB, ``inf`` where the images are identical, with a gradient of 0 there. Float32 or wider.

    Raises:
        TypeError: a tensor that is not floating-point.
        ValueError: shapes that do not belong together, values that do not fit in ``data_range``, or a sample whose
            mask is empty.

    Reference:
        Huynh-Thu and Ghanbari, "Scope of validity of PSNR in image/video quality assessment", Electronics Letters 2008.

    Example:
        >>> psnr(torch.full((1, 3, 4, 4), 0.1), torch.zeros(1, 3, 4, 4), data_range=1.0)
        tensor([20.])
    """
    check_metric_inputs(input, target, mask, data_range=data_range)
    dtype = torch.promote_types(input.dtype, torch.float32)
    error = (input.to(dtype) - target.to(dtype)).square()
    if mask is None:
        mse = error.mean(dim=(1, 2, 3))
    else:
        hole = mask.to(dtype)
        mse = (hole * error).sum(dim=(1, 2, 3)) / (input.shape[1] * hole.sum(dim=(1, 2, 3)))
    identical = mse == 0
    # The logarithm's slope at 0 would make the gradient NaN.
    return (10 * torch.log10(data_range**2 / mse.masked_fill(identical, 1.0))).masked_fill(identical, math.inf)
