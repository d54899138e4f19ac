"""Losses, each a function with the maths and a thin module with the options. None is weighted; the trainer weighs."""

from gatedinpaint.losses.adversarial import (
    HingeDiscriminatorLoss,
    HingeGeneratorLoss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from gatedinpaint.losses.contrastive import InfoNCELoss, info_nce_loss
from gatedinpaint.losses.features import Features, VGGFeatures
from gatedinpaint.losses.gradients import GradientReport, gradient_report
from gatedinpaint.losses.negative_queue import NegativeQueue
from gatedinpaint.losses.one_pass import FeaturePass, feature_pass
from gatedinpaint.losses.perceptual import PerceptualLoss, perceptual_loss
from gatedinpaint.losses.reconstruction import MaskedL1Loss, masked_l1_loss
from gatedinpaint.losses.style import StyleLoss, gram_matrix, style_loss
from gatedinpaint.losses.total_variation import TotalVariationLoss, total_variation_loss
from gatedinpaint.losses.weighting import weighted_sum

__all__ = [
    "FeaturePass",
    "Features",
    "GradientReport",
    "HingeDiscriminatorLoss",
    "HingeGeneratorLoss",
    "InfoNCELoss",
    "MaskedL1Loss",
    "NegativeQueue",
    "PerceptualLoss",
    "StyleLoss",
    "TotalVariationLoss",
    "VGGFeatures",
    "feature_pass",
    "gradient_report",
    "gram_matrix",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "info_nce_loss",
    "masked_l1_loss",
    "perceptual_loss",
    "style_loss",
    "total_variation_loss",
    "weighted_sum",
]
