"""Style loss: L1 between Gram matrices of feature maps."""

from torch import Tensor, nn

from gatedinpaint._autocast import without_autocast
from gatedinpaint._checks import check_image
from gatedinpaint.losses._precision import at_least_float32
from gatedinpaint.losses.features import Features, check_features


def gram_matrix(features: Tensor) -> Tensor:
    r"""Which channels fire together, wherever in the map.

    .. math:: G_{cd} = \frac{1}{C H W} \sum_{h,w} \phi_{chw}\, \phi_{dhw}

    Computed in float32 (float64 stays) with autocast off: 64 channels of 256×256 overflow float16.

    Args:
        features: (B, C, H, W).

    Returns:
        (B, C, C), symmetric and positive semi-definite.

    Raises:
        TypeError: features that are not a floating-point tensor.
        ValueError: features that are not (B, C, H, W).

    Reference:
        Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016; divided by C·H·W as in
        Johnson et al., ECCV 2016.

    Example:
        >>> import torch
        >>> gram_matrix(torch.tensor([[[[1.0, 2.0]], [[0.0, 4.0]]]]))
        tensor([[[1.2500, 2.0000],
                 [2.0000, 4.0000]]])
    """
    check_image(features, name="features", channels=None)
    flat = at_least_float32(features).flatten(2)
    with without_autocast(features):
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def style_loss(input_features: Features, target_features: Features) -> Tensor:
    r"""Mean absolute difference of Gram matrices, summed over the levels.

    .. math:: L = \sum_l \frac{1}{C_l^2} \sum_{c,d} |G_l(\text{input})_{cd} - G_l(\text{target})_{cd}|

    averaged over the batch. The features are those of :class:`VGGFeatures` or of any module that returns a list of
    maps; those of the target are best computed once, together with :func:`perceptual_loss`.

    Args:
        input_features: a (B, C, H, W) map per level; receive the gradient.
        target_features: the same shapes; receive none.

    Returns:
        A scalar ≥ 0. Float32 or wider.

    Raises:
        TypeError: a bare tensor instead of a list, or maps that are not floating-point.
        ValueError: another number of levels, or shapes that differ.

    Reference:
        Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions", ECCV 2018, Eq. 4.

    Example:
        >>> import torch
        >>> features = torch.nn.AvgPool2d(2)  # any module of your own will do; here one level
        >>> style_loss([features(torch.ones(1, 3, 8, 8))], [features(torch.zeros(1, 3, 8, 8))])
        tensor(0.3333)
    """
    check_features(input_features, target_features)
    total = at_least_float32(input_features[0]).new_zeros(())
    for input, target in zip(input_features, target_features, strict=True):
        total = total + (gram_matrix(input) - gram_matrix(target.detach())).abs().mean()
    return total


class StyleLoss(nn.Module):
    """Module form of :func:`style_loss`.

    Example:
        >>> import torch
        >>> StyleLoss()([torch.ones(1, 1, 4, 4)], [torch.zeros(1, 1, 4, 4)])
        tensor(1.)
    """

    def forward(self, input_features: Features, target_features: Features) -> Tensor:
        return style_loss(input_features, target_features)
