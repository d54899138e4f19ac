"""Structural similarity."""

import math

import torch
from torch import Tensor

from gatedinpaint.metrics._inputs import check_metric_inputs, check_not_empty

_WINDOW = 11
_SIGMA = 1.5
BORDER = _WINDOW // 2
"""Pixels along the edge that have no value of their own."""
_K1, _K2 = 0.01, 0.03


def ssim(
    input: Tensor, target: Tensor, *, data_range: float, mask: Tensor | None = None, lowest: float = 0.0
) -> Tensor:
    r"""Structural similarity index of each image, the mean over channels and pixels of

    .. math:: \frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}
        {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}, \qquad C_1 = (0.01 R)^2,\ C_2 = (0.03 R)^2

    with means and (population) variances under a Gaussian window of 11×11 pixels, σ = 1.5, per channel. Only windows
    that lie wholly in the image count, so the outer 5 pixels have no value of their own; that includes hole pixels
    there when a mask is given.

    The first factor compares means, and was made for values from 0 on. So pass ``lowest=-1.0`` for images in [−1, 1]:
    it is subtracted first, and the result is that of the same photos in [0, 1] or 0…255, as it is usually published.
    Without it a difference of brightness counts far too much where the image is mid-grey.

    Args:
        input: (B, C, H, W), at least 11 pixels high and wide.
        target: the shape of ``input``.
        data_range: :math:`R`, the highest minus the lowest possible value: 2.0 for images in [−1, 1].
        mask: (B, 1, H, W), 1 = hole: the mean over windows centred in the hole, which reach 5 pixels beyond it.
            ``None`` takes all windows.
        lowest: the lowest possible value.

    Returns:
        (B,), in [−1, 1]; 1 for identical images. Float32 or wider.

    Raises:
        TypeError: a tensor that is not floating-point.
        ValueError: shapes that do not belong together, fewer than 11 pixels, values that do not fit in
            ``data_range``, a sample without a hole pixel at least 5 pixels from the border, or a ``lowest`` that is not
            finite.

    Reference:
        Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004. Equal to
        scikit-image's ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)`` of
        images from which ``lowest`` was subtracted.

    Example:
        >>> image = torch.linspace(-1, 1, 3 * 16 * 16).view(1, 3, 16, 16)
        >>> ssim(image, image, data_range=2.0, lowest=-1.0)
        tensor([1.])
    """
    check_metric_inputs(input, target, mask, data_range=data_range)
    if not math.isfinite(lowest):
        raise ValueError(f"lowest must be the lowest possible value, -1.0 for images in [-1, 1]; got {lowest}.")
    if min(input.shape[2:]) < _WINDOW:
        raise ValueError(f"input must be at least {_WINDOW} pixels high and wide; got {tuple(input.shape)}.")
    inner = None
    if mask is not None:
        inner = mask[:, :, BORDER:-BORDER, BORDER:-BORDER]
        check_not_empty(inner, f"mask must mark a hole pixel at least {BORDER} pixels from the border")

    dtype = torch.promote_types(input.dtype, torch.float32)
    scores = []
    for index in range(len(input)):
        # Plane by plane, so that the maps stay in the processor's cache.
        planes = zip(input[index].to(dtype), target[index].to(dtype), strict=True)
        similarity = torch.stack([_similarity(x, y, data_range, lowest) for x, y in planes]).mean(dim=0)
        if inner is None:
            scores.append(similarity.mean())
        else:
            hole = inner[index, 0].to(dtype)
            scores.append((hole * similarity).sum() / hole.sum())
    return torch.stack(scores)


def _similarity(x: Tensor, y: Tensor, data_range: float, lowest: float) -> Tensor:
    """The index at every window of (H, W) planes: (H - 10, W - 10)."""
    # Variances do not change with a common shift, and lose fewer digits near zero.
    shift = 0.5 * (x.mean() + y.mean()).detach()
    x, y = x - shift, y - shift
    # Only the sum of the two variances is needed: four filtered maps, not five.
    mean_x, mean_y, squares, product = _filter(torch.stack([x, y, torch.addcmul(x * x, y, y), x * y]))
    covariance = torch.addcmul(product, mean_x, mean_y, value=-1)
    variances = squares - torch.addcmul(mean_x * mean_x, mean_y, mean_y)
    mean_x, mean_y = mean_x + (shift - lowest), mean_y + (shift - lowest)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (torch.addcmul(mean_x * mean_x, mean_y, mean_y) + c1)
    similarity: Tensor = luminance * (2 * covariance + c2) / (variances + c2)
    return similarity


def _filter(maps: Tensor) -> Tensor:
    """Gaussian mean under every window, first down, then across."""
    # Sums of slices: on single-channel maps cheaper than a convolution, and never in half precision.
    weights = [math.exp(-0.5 * (tap / _SIGMA) ** 2) for tap in range(-BORDER, BORDER + 1)]
    for dim in (-2, -1):
        size = maps.shape[dim] - _WINDOW + 1
        total = maps.narrow(dim, BORDER, size) * (weights[BORDER] / sum(weights))
        for tap in (*range(BORDER), *range(BORDER + 1, _WINDOW)):
            total.add_(maps.narrow(dim, tap, size), alpha=weights[tap] / sum(weights))
        maps = total
    return maps
