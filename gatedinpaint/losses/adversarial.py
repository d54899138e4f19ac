"""The hinge form of the adversarial game: one loss for the discriminator, one for the generator."""

import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_float
from gatedinpaint.losses._precision import at_least_float32


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""Hinge loss of the discriminator.

    .. math:: L_D = \mathrm{mean}\,\max(0, 1 - D(\text{real})) + \mathrm{mean}\,\max(0, 1 + D(\text{fake}))

    Give it the scores of a *detached* fake: the loss itself cuts nothing.

    Args:
        real_logits: raw scores of real images, any shape, usually patches (B, C, h, w); no sigmoid.
        fake_logits: raw scores of generated images; their number may differ from that of the real ones.

    Returns:
        A scalar ≥ 0; 0 once every real score is above 1 and every fake one below −1. Float32 or wider.

    Raises:
        TypeError: scores that are not floating-point tensors.
        ValueError: no scores at all.

    Reference:
        Lim and Ye, "Geometric GAN", arXiv:1705.02894; for patches, Yu et al., "Free-Form Image Inpainting with Gated
        Convolution", ICCV 2019.

    Example:
        >>> import torch
        >>> hinge_discriminator_loss(torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0]))
        tensor(0.7500)
    """
    _check_scores(real_logits, name="real_logits")
    _check_scores(fake_logits, name="fake_logits")
    real = F.relu(1 - at_least_float32(real_logits)).mean()
    fake = F.relu(1 + at_least_float32(fake_logits)).mean()
    return real + fake


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    r"""Adversarial loss of the generator against a hinge discriminator.

    .. math:: L_G = -\mathrm{mean}\,D(\text{fake})

    Args:
        fake_logits: raw scores of generated images, any shape, usually patches (B, C, h, w); no sigmoid.

    Returns:
        A scalar of any sign. Float32 or wider.

    Raises:
        TypeError: scores that are not floating-point tensors.
        ValueError: no scores at all.

    Reference:
        Lim and Ye, "Geometric GAN", arXiv:1705.02894.

    Example:
        >>> import torch
        >>> hinge_generator_loss(torch.tensor([1.0, -0.5]))
        tensor(-0.2500)
    """
    _check_scores(fake_logits, name="fake_logits")
    return -at_least_float32(fake_logits).mean()


class HingeDiscriminatorLoss(nn.Module):
    """Module form of :func:`hinge_discriminator_loss`.

    Example:
        >>> import torch
        >>> HingeDiscriminatorLoss()(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
        tensor(1.)
    """

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return hinge_discriminator_loss(real_logits, fake_logits)


class HingeGeneratorLoss(nn.Module):
    """Module form of :func:`hinge_generator_loss`.

    Example:
        >>> import torch
        >>> HingeGeneratorLoss()(torch.ones(1, 1, 2, 2))
        tensor(-1.)
    """

    def forward(self, fake_logits: Tensor) -> Tensor:
        return hinge_generator_loss(fake_logits)


def _check_scores(logits: Tensor, *, name: str) -> None:
    check_float(logits, name=name)
    if logits.numel() == 0:
        raise ValueError(f"{name} must hold at least one score; got shape {tuple(logits.shape)}.")
