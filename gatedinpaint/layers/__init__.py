"""Layers for inpainting networks."""

from gatedinpaint._filtering_choice import minimal_filtering
from gatedinpaint.layers.attention import MultiScaleSelfAttention, SelfAttention2d
from gatedinpaint.layers.contextual_attention import ContextualAttention2d
from gatedinpaint.layers.gate_saturation import gate_saturation
from gatedinpaint.layers.gated_conv import GatedConv2d
from gatedinpaint.layers.gated_upsample import GatedUpsample2d
from gatedinpaint.layers.init import init_weights
from gatedinpaint.layers.partial_conv import PartialConv2d
from gatedinpaint.layers.spd import SPDResBlock
from gatedinpaint.layers.spectral_norm import spectral_norm

__all__ = [
    "ContextualAttention2d",
    "GatedConv2d",
    "GatedUpsample2d",
    "MultiScaleSelfAttention",
    "PartialConv2d",
    "SPDResBlock",
    "SelfAttention2d",
    "gate_saturation",
    "init_weights",
    "minimal_filtering",
    "spectral_norm",
]
