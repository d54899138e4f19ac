"""The layers and the loss that the paper's released code has in the place of ours."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal.data import Batch
from examples.mask_removal.terms import generator_terms
from gatedinpaint import GatedConv2d, InpaintOutput, SNPatchDiscriminator, total_variation_loss


class SharedGate(nn.Module):
    """The released code's gated convolution: φ(c) ⊙ σ(c) of one convolution c, then BatchNorm.

    Args:
        ours: the layer whose place it takes.
    """

    def __init__(self, ours: GatedConv2d) -> None:
        super().__init__()
        out_channels = ours.conv.out_channels // 2
        self.in_channels = ours.in_channels
        self.conv = nn.Conv2d(ours.in_channels, out_channels, groups=ours.groups, **ours.geometry._asdict())
        nn.init.kaiming_normal_(self.conv.weight, 0.2)
        nn.init.zeros_(self.conv.bias)
        self.activation = ours.activation
        self.norm = nn.BatchNorm2d(out_channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, out_channels, H', W')."""
        both = self.conv(x)
        feature = both if self.activation is None else self.activation(both)
        y: Tensor = self.norm(feature * both.sigmoid())
        return y


class LeakyPatches(nn.Module):
    """The discriminator with a LeakyReLU as its last layer."""

    def __init__(self, discriminator: SNPatchDiscriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Patch scores of image (B, 3, H, W) and mask (B, 1, H, W)."""
        return F.leaky_relu(self.discriminator(image, mask), 0.2)


def as_released(network: nn.Module) -> nn.Module:
    """Put the released code's layer in the place of every gated convolution, and return the network."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, GatedConv2d):
                setattr(parent, name, SharedGate(child))
    return network


def released_terms(output: InpaintOutput, batch: Batch, **others: Any) -> dict[str, Tensor]:
    """Ours, with the total variation of the released code: of the output as it is, its differences squared."""
    terms = generator_terms(output, batch, **others)
    return terms | {"total_variation": total_variation_loss(output.refined, p=2)}
