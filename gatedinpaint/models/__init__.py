"""Networks assembled from the layers, and their files."""

from gatedinpaint.models.discriminator import SNPatchDiscriminator
from gatedinpaint.models.generator import CoarseNet, InpaintGenerator, InpaintOutput, RefineNet
from gatedinpaint.models.io import load_model, save_model

__all__ = [
    "CoarseNet",
    "InpaintGenerator",
    "InpaintOutput",
    "RefineNet",
    "SNPatchDiscriminator",
    "load_model",
    "save_model",
]
