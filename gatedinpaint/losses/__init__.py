"""Losses, each a function with the maths and a thin module with the options. None is weighted; the trainer weighs."""

from gatedinpaint.losses.adversarial import (
    HingeDiscriminatorLoss,
    HingeGeneratorLoss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from gatedinpaint.losses.contrastive import InfoNCELoss, info_nce_loss
from gatedinpaint.losses.features import Features, VGGFeatures
from gatedinpaint.losses.perceptual import PerceptualLoss, perceptual_loss
from gatedinpaint.losses.reconstruction import MaskedL1Loss, masked_l1_loss
from gatedinpaint.losses.style import StyleLoss, gram_matrix, style_loss
from gatedinpaint.losses.total_variation import TotalVariationLoss, total_variation_loss

__all__ = [
    "Features",
    "HingeDiscriminatorLoss",
    "HingeGeneratorLoss",
    "InfoNCELoss",
    "MaskedL1Loss",
    "PerceptualLoss",
    "StyleLoss",
    "TotalVariationLoss",
    "VGGFeatures",
    "gram_matrix",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "info_nce_loss",
    "masked_l1_loss",
    "perceptual_loss",
    "style_loss",
    "total_variation_loss",
]
