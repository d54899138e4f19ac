"""The networks over whose features the perceptual, style and LPIPS terms measure."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gatedinpaint import VGGFeatures

_SMALLEST = {"alex": 31, "vgg": 16}
"""Side of the smallest image whose five maps are not empty."""


class LPIPSFeatures(nn.Module):
    """The relu maps of a network that LPIPS is defined over, five of them, and LPIPS itself over them.

    Trunk, input scaling and the weights of the distance are those of the ``lpips`` package.

    Args:
        net: ``"alex"`` for AlexNet, far the cheaper one, or ``"vgg"`` for VGG-16.

    Reference:
        Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.
    """

    def __init__(self, net: Literal["alex", "vgg"]) -> None:
        super().__init__()
        import lpips

        self.net, self.smallest = net, _SMALLEST[net]

        with weights_of("alexnet" if net == "alex" else "vgg16"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package calls torchvision in a way that is deprecated there
            self.lpips = lpips.LPIPS(net=net, verbose=False).requires_grad_(False).eval()

    def forward(self, image: Tensor) -> list[Tensor]:
        """image (B, 3, H, W) in [−1, 1] → five feature maps.

        Raises:
            ValueError: too small for the network's pooling.
        """
        if min(image.shape[2:]) < self.smallest:
            raise ValueError(
                f"{self.net} needs images of at least {self.smallest} pixels; got {tuple(image.shape)}. Prepare a set "
                "of larger crops, take a larger --window or no --half-size-share, or leave its terms out."
            )
        return list(self.lpips.net(self.lpips.scaling_layer(image)))

    def distance(self, input_features: Sequence[Tensor], target_features: Sequence[Tensor]) -> Tensor:
        """LPIPS (B,) from features that are there already."""
        with torch.autocast(input_features[0].device.type, enabled=False):  # differences of near values
            levels = [
                lin((_unit(a) - _unit(b)).square()).mean((1, 2, 3))
                for lin, a, b in zip(self.lpips.lins, input_features, target_features, strict=True)
            ]
        return torch.stack(levels).sum(0)


class AlexNetFeatures(LPIPSFeatures):
    """Those of AlexNet."""

    def __init__(self) -> None:
        super().__init__("alex")


def build_features(name: Literal["vgg19", "vgg16", "alexnet"]) -> VGGFeatures | AlexNetFeatures:
    """The network with pretrained weights from torch's cache, or downloaded.

    Raises:
        OSError: neither.
    """
    if name == "alexnet":
        return AlexNetFeatures()
    with weights_of(name):
        return VGGFeatures(name)


@contextlib.contextmanager
def weights_of(name: str) -> Iterator[None]:
    """Say where to put torchvision's pretrained weights of a network that this context cannot download."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        from torchvision.models import get_model_weights

        url = get_model_weights(name).DEFAULT.url
        raise OSError(
            f"the pretrained weights of {name} are not in torch's cache and could not be downloaded "
            f"({error.__cause__ or error}). "
            f"Put {url} into {torch.hub.get_dir()}/checkpoints."
        ) from error


def _unit(features: Tensor) -> Tensor:
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    # The small constant stands inside the root: at a pixel where all channels are 0 the gradient stays finite.
    return features / (features.square().sum(1, keepdim=True) + 1e-10).sqrt()
