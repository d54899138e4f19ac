"""gatedinpaint: inpainting building blocks for PyTorch.

Layers, networks, losses, warps and masks are here; :mod:`gatedinpaint.faces` and :mod:`gatedinpaint.metrics` are
imported on their own and need the extras of the same names.
"""

from gatedinpaint.image import PhotoError, image_to_photo, photo_to_image, read_photo, write_photo
from gatedinpaint.layers import (
    GatedConv2d,
    GatedUpsample2d,
    MultiScaleSelfAttention,
    SelfAttention2d,
    SPDResBlock,
    init_weights,
    spectral_norm,
)
from gatedinpaint.losses import (
    HingeDiscriminatorLoss,
    HingeGeneratorLoss,
    InfoNCELoss,
    MaskedL1Loss,
    PerceptualLoss,
    StyleLoss,
    TotalVariationLoss,
    VGGFeatures,
    gram_matrix,
    hinge_discriminator_loss,
    hinge_generator_loss,
    info_nce_loss,
    masked_l1_loss,
    perceptual_loss,
    style_loss,
    total_variation_loss,
)
from gatedinpaint.masks import composite, dilate, erode, feather
from gatedinpaint.models import (
    CoarseNet,
    InpaintGenerator,
    InpaintOutput,
    RefineNet,
    SNPatchDiscriminator,
    load_model,
    save_model,
)
from gatedinpaint.warp import DegenerateControlPointsError, ThinPlateSpline, warp_image

__version__ = "0.1.0"

__all__ = [
    "CoarseNet",
    "DegenerateControlPointsError",
    "GatedConv2d",
    "GatedUpsample2d",
    "HingeDiscriminatorLoss",
    "HingeGeneratorLoss",
    "InfoNCELoss",
    "InpaintGenerator",
    "InpaintOutput",
    "MaskedL1Loss",
    "MultiScaleSelfAttention",
    "PerceptualLoss",
    "PhotoError",
    "RefineNet",
    "SNPatchDiscriminator",
    "SPDResBlock",
    "SelfAttention2d",
    "StyleLoss",
    "ThinPlateSpline",
    "TotalVariationLoss",
    "VGGFeatures",
    "__version__",
    "composite",
    "dilate",
    "erode",
    "feather",
    "gram_matrix",
    "hinge_discriminator_loss",
    "hinge_generator_loss",
    "image_to_photo",
    "info_nce_loss",
    "init_weights",
    "load_model",
    "masked_l1_loss",
    "perceptual_loss",
    "photo_to_image",
    "read_photo",
    "save_model",
    "spectral_norm",
    "style_loss",
    "total_variation_loss",
    "warp_image",
    "write_photo",
]
