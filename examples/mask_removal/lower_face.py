"""The lower half of an aligned crop as VGG16 sees it: what the Fréchet distance of this example is measured on."""

from torch import Tensor, nn

from gatedinpaint.metrics import LPIPS

ROWS = (40, 120)
"""Of a crop of 128 pixels; of other crops the same share."""
COLUMNS = (24, 104)
_SIDE = 128


class LowerFaceFeatures(nn.Module):
    """Mean over the places of VGG16's last convolution block, on the lower face: images (B, 3, H, W) → (B, 512).

    The box of rows 40–119 and columns 24–103 of a crop of 128 pixels, and the same share of crops of other sizes, is
    cut out and passes the network by itself. The block's output is taken after its last relu (relu5_3), before the
    pooling that follows. The image's range [−1, 1] is brought to the statistics of ImageNet.

    Args:
        lpips: ``LPIPS("vgg")``, whose trunk this is; nothing is loaded twice.
    """

    name = "VGG16, lower face"

    def __init__(self, lpips: LPIPS) -> None:
        super().__init__()
        if lpips.net != "vgg":
            raise ValueError(f'lpips must be LPIPS("vgg"); got net="{lpips.net}".')
        self.lpips = lpips

    def forward(self, image: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [−1, 1] → (B, 512)."""
        height, width = image.shape[2:]
        top, bottom = (round(row * height / _SIDE) for row in ROWS)
        left, right = (round(column * width / _SIDE) for column in COLUMNS)
        features: Tensor = self.lpips.features(image[..., top:bottom, left:right])[-1].mean(dim=(2, 3))
        return features
