"""SN-PatchGAN: a spectrally normalised discriminator that scores every patch."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_count, check_image, check_mask
from gatedinpaint.layers import init_weights, spectral_norm
from gatedinpaint.models.pretrained import Pretrained


class SNPatchDiscriminator(Pretrained):
    """Six spectrally normalised 5×5 convolutions of stride 2 over image and mask; linear patch scores.

    Every element of the result judges another patch of the image and, by its channel, another aspect of it; the hinge
    losses average over all of them.

    Args:
        base_channels: the width c; the layers have 2c, 4c, 8c, 8c, 8c, 8c channels. 5,946,816 parameters at c = 32.

    Shapes:
        image (B, 3, H, W) in [−1, 1], mask (B, 1, H, W) with 1 = hole, seen as it is and not cut at 0.5 → logits
        (B, 8c, ⌈H/64⌉, ⌈W/64⌉), no sigmoid.

    Raises:
        TypeError: image or mask is no floating-point tensor.
        ValueError: a width that is not positive; shapes that do not match; a mask with values beyond 0 and 1 (looked at
            on a CPU alone).

    Departs from the paper:
        Its Eq. 2 and 3 show the discriminator an input and an output image; text and released code show it image and
        mask, and so does this. The released code had a LeakyReLU after the last layer; the scores here are linear.

    Reference:
        Yu et al., "Free-Form Image Inpainting with Gated Convolution", ICCV 2019; Miyato et al., "Spectral
        Normalization for Generative Adversarial Networks", ICLR 2018.

    Example:
        >>> discriminator = SNPatchDiscriminator(2)
        >>> discriminator(torch.zeros(1, 3, 128, 128), torch.ones(1, 1, 128, 128)).shape
        torch.Size([1, 16, 2, 2])
    """

    def __init__(self, base_channels: int = 32) -> None:
        super().__init__()
        self.base_channels = base_channels = check_count(base_channels, name="base_channels")
        widths = [4, *(factor * base_channels for factor in (2, 4, 8, 8, 8, 8))]
        layers: list[nn.Module] = []
        for in_channels, out_channels in pairwise(widths):
            convolution = nn.Conv2d(in_channels, out_channels, 5, stride=2, padding=2)
            # Before spectral norm: it runs its first power iterations on the weight that it finds.
            init_weights(convolution)
            layers += [spectral_norm(convolution), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers[:-1])

    @property
    def config(self) -> dict[str, int | bool]:
        """The arguments that build this network again."""
        return {"base_channels": self.base_channels}

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """image (B, 3, H, W), mask (B, 1, H, W) → logits (B, 8c, ⌈H/64⌉, ⌈W/64⌉)."""
        check_image(image)
        check_mask(mask, image)
        logits: Tensor = self.layers(torch.cat([image, mask.to(image.dtype)], dim=1))
        return logits
