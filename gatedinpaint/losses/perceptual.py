"""Perceptual loss: L1 between feature maps."""

from collections.abc import Sequence

from torch import Tensor, nn

from gatedinpaint.losses._precision import at_least_float32
from gatedinpaint.losses.features import Features, check_features


def perceptual_loss(
    input_features: Features, target_features: Features, *, weights: Sequence[float] | None = None
) -> Tensor:
    r"""Mean absolute difference of feature maps, summed over the levels.

    .. math:: L = \sum_l w_l \, \mathrm{mean}\,|\phi_l(\text{input}) - \phi_l(\text{target})|

    The features are those of :class:`VGGFeatures` or of any module that returns a list of maps. Compute those of the
    target once, under ``torch.no_grad()``, and use them for this loss and for :func:`style_loss`.

    Args:
        input_features: a (B, C, H, W) map per level; receive the gradient.
        target_features: the same shapes; receive none.
        weights: one weight per level; ``None`` is 1 for each.

    Returns:
        A scalar ≥ 0. Float32 or wider.

    Raises:
        TypeError: a bare tensor instead of a list, or maps that are not floating-point.
        ValueError: another number of levels or weights, or shapes that differ.

    Reference:
        Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016; with L1,
        Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018, Eq. 3.

    Example:
        >>> import torch
        >>> class Pyramid(torch.nn.Module):  # any module of your own will do
        ...     def forward(self, image):
        ...         return [image, torch.nn.functional.avg_pool2d(image, 2)]
        >>> features = Pyramid()
        >>> perceptual_loss(features(torch.ones(1, 3, 8, 8)), features(torch.zeros(1, 3, 8, 8)), weights=[1.0, 0.5])
        tensor(1.5000)
    """
    check_features(input_features, target_features)
    if weights is None:
        weights = [1.0] * len(input_features)
    if len(weights) != len(input_features):
        raise ValueError(f"weights must have one value per level, {len(input_features)}; got {len(weights)}.")
    total = at_least_float32(input_features[0]).new_zeros(())
    for weight, input, target in zip(weights, input_features, target_features, strict=True):
        total = total + weight * (at_least_float32(input) - at_least_float32(target.detach())).abs().mean()
    return total


class PerceptualLoss(nn.Module):
    """Module form of :func:`perceptual_loss`.

    Example:
        >>> PerceptualLoss(weights=[1.0, 0.5])
        PerceptualLoss(weights=[1.0, 0.5])
    """

    def __init__(self, *, weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, input_features: Features, target_features: Features) -> Tensor:
        return perceptual_loss(input_features, target_features, weights=self.weights)

    def extra_repr(self) -> str:
        return f"weights={self.weights}"
