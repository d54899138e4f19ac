"""Total variation: how much neighbouring pixels differ."""

from typing import Literal

from torch import Tensor, nn

from gatedinpaint._checks import check_image
from gatedinpaint.losses._precision import at_least_float32


def total_variation_loss(image: Tensor, *, p: Literal[1, 2] = 1) -> Tensor:
    r"""Anisotropic total variation, a mean over neighbours in each direction.

    .. math:: L = \mathrm{mean}\,|x_{i+1,j} - x_{i,j}|^p + \mathrm{mean}\,|x_{i,j+1} - x_{i,j}|^p

    Give it the composite to smooth the seam of the hole; give it the raw output to smooth everything.

    Args:
        image: (B, C, H, W), any scale. An image one pixel high (or wide) has no vertical (horizontal) neighbours, and
            that direction adds 0.
        p: 1 for absolute, 2 for squared differences.

    Returns:
        A scalar ≥ 0, for ``p=1`` on the scale of the image. Float32 or wider.

    Raises:
        TypeError: an image that is not a floating-point tensor.
        ValueError: an image that is not (B, C, H, W), or another ``p``.

    Reference:
        Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016 (squared);
        Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018, Eq. 6 (absolute).

    Departs from the paper:
        Means, where the mask-inpainting paper writes sums, so that the weight does not depend on the image's size.

    Example:
        >>> import torch
        >>> total_variation_loss(torch.tensor([[[[0.0, 1.0], [0.0, 3.0]]]]))
        tensor(3.)
    """
    check_image(image, channels=None)
    if p not in (1, 2):
        raise ValueError(f"p must be 1 (absolute) or 2 (squared differences); got {p!r}.")
    pixels = at_least_float32(image)
    return _mean_power(pixels.diff(dim=2), p) + _mean_power(pixels.diff(dim=3), p)


class TotalVariationLoss(nn.Module):
    """Module form of :func:`total_variation_loss`.

    Example:
        >>> TotalVariationLoss(p=2)
        TotalVariationLoss(p=2)
    """

    def __init__(self, *, p: Literal[1, 2] = 1) -> None:
        super().__init__()
        self.p = p

    def forward(self, image: Tensor) -> Tensor:
        return total_variation_loss(image, p=self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def _mean_power(difference: Tensor, p: int) -> Tensor:
    # A sum over no elements is 0 and still differentiable; a mean over them would be NaN.
    total = difference.abs().sum() if p == 1 else difference.square().sum()
    return total / max(difference.numel(), 1)
