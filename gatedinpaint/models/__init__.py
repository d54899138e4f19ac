"""Networks assembled from the layers, and their files."""

from gatedinpaint.models.coarse_net import CoarseNet
from gatedinpaint.models.coarse_unet import CoarseUNet
from gatedinpaint.models.deepfillv2 import DeepFillV2Generator, DeepFillV2Output
from gatedinpaint.models.deepfillv2_weights import load_deepfillv2_weights
from gatedinpaint.models.discriminator import SNPatchDiscriminator
from gatedinpaint.models.generator import InpaintGenerator, InpaintOutput
from gatedinpaint.models.inference import optimize_for_inference
from gatedinpaint.models.io import load_model, save_model
from gatedinpaint.models.refine_net import RefineNet

__all__ = [
    "CoarseNet",
    "CoarseUNet",
    "DeepFillV2Generator",
    "DeepFillV2Output",
    "InpaintGenerator",
    "InpaintOutput",
    "RefineNet",
    "SNPatchDiscriminator",
    "load_deepfillv2_weights",
    "load_model",
    "optimize_for_inference",
    "save_model",
]
