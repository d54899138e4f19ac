"""Layers for inpainting networks."""

from gatedinpaint.layers.attention import MultiScaleSelfAttention, SelfAttention2d
from gatedinpaint.layers.gated_conv import GatedConv2d, GatedUpsample2d
from gatedinpaint.layers.init import init_weights
from gatedinpaint.layers.spd import SPDResBlock
from gatedinpaint.layers.spectral_norm import spectral_norm

__all__ = [
    "GatedConv2d",
    "GatedUpsample2d",
    "MultiScaleSelfAttention",
    "SPDResBlock",
    "SelfAttention2d",
    "init_weights",
    "spectral_norm",
]
