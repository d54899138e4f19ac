"""Learned perceptual image patch similarity."""

import warnings
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from gatedinpaint._autocast import without_autocast
from gatedinpaint._checks import check_image, check_same_shape, has_values
from gatedinpaint._conv2d import Conv2d, keep_filters
from gatedinpaint._optional import require
from gatedinpaint.metrics._extractors import made_in_float32
from gatedinpaint.metrics._inputs import check_range

# The pixels that each network's strides and poolings need to leave one at the last level.
_MINIMUM_SIZE = {"alex": 31, "vgg": 16}


class LPIPS(nn.Module):
    r"""Distance of two images as people judge it, from the feature maps of a trained network; 0 for identical ones.

    .. math:: d(x, y) = \sum_l \frac{1}{H_l W_l} \sum_{h, w} \sum_c
        v^l_c \, (\hat x^l_{chw} - \hat y^l_{chw})^2

    with the features :math:`\hat x^l` of level :math:`l` scaled to length 1 at every place. Trunk and weights
    :math:`v^l` are those of the ``lpips`` package, version 0.1, and torchvision; the paper writes their roots, inside
    of the square. Both images pass the trunk in one batch. It stays frozen and in evaluation mode, and computes in
    float32, also under autocast; the images receive their gradient.

    Images must lie in [−1, 1]. One that needs a gradient is the output of a network in training, may overshoot, and
    is not checked.

    Args:
        net: ``"alex"``, the one to report, or ``"vgg"``.

    Shapes:
        input, target (B, 3, H, W), at least 31 pixels high and wide for ``"alex"``, 16 for ``"vgg"`` → (B,) float32.

    Raises:
        ImportError: without the packages ``lpips`` and ``torchvision``: ``pip install "gatedinpaint[metrics]"``.
        TypeError: an image that is not a floating-point tensor.
        RuntimeError: the trunk's weights came neither from torchvision's cache nor by download.
        ValueError: an unknown ``net``; in the forward pass images that are not (B, 3, H, W) or differ in shape, are
            too small, or lie outside [−1, 1].

    Reference:
        Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018.

    Example:
        >>> lpips = LPIPS("alex")  # doctest: +SKIP
        >>> lpips(torch.zeros(2, 3, 64, 64), torch.zeros(2, 3, 64, 64))  # doctest: +SKIP
        tensor([0., 0.])
    """

    def __init__(self, net: Literal["alex", "vgg"] = "alex") -> None:
        super().__init__()
        if net not in _MINIMUM_SIZE:
            raise ValueError(f'net must be "alex" or "vgg"; got {net!r}.')
        self.net = net
        package = require("lpips", "metrics")
        require("torchvision", "metrics")
        try:
            # It draws values before it loads them: the caller's random state stays where it is.
            with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), made_in_float32():
                warnings.simplefilter("ignore")  # the package calls torchvision in a way that is deprecated there
                model = package.LPIPS(net=net, verbose=False)
        except (OSError, RuntimeError) as error:
            raise RuntimeError(
                f"the {net} weights came neither from the cache ({torch.hub.get_dir()}/checkpoints) nor by download: "
                f"{error}. Put torchvision's file there."
            ) from error
        self.scaling: nn.Module = model.scaling_layer
        self.trunk: nn.Module = model.net.to(memory_format=torch.channels_last)
        for layer in self.trunk.modules():
            if type(layer) is nn.Conv2d:
                layer.__class__ = Conv2d
        keep_filters(self.trunk)
        self.weights: nn.ModuleList = model.lins
        self.requires_grad_(False)
        self.eval()

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """input, target (B, 3, H, W) in [−1, 1] → (B,)."""
        check_image(input, name="input")
        check_same_shape(input, target)
        both = self._features(torch.cat([self._checked(input, "input"), self._checked(target, "target")]))
        inputs, targets = zip(*(level.chunk(2) for level in both), strict=True)
        return self.distance(inputs, targets)

    def features(self, image: Tensor) -> list[Tensor]:
        """image (B, 3, H, W) in [−1, 1] → the trunk's five feature maps, for :meth:`distance` and other losses."""
        return self._features(self._checked(image, "image"))

    def distance(self, input_features: Sequence[Tensor], target_features: Sequence[Tensor]) -> Tensor:
        """The distance (B,) of images whose :meth:`features` are there already."""
        levels = zip(self.weights, input_features, target_features, strict=True)
        with without_autocast(input_features[0]):
            return torch.stack([weigh((_unit(a) - _unit(b)).square()).mean((1, 2, 3)) for weigh, a, b in levels]).sum(0)

    def train(self, mode: bool = True) -> "LPIPS":
        """Stay in evaluation mode, whatever ``mode`` says: the network is a measure, not a thing to train."""
        return super().train(False)

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"net={self.net!r}"

    def _features(self, image: Tensor) -> list[Tensor]:
        with without_autocast(image):
            return list(self.trunk(self.scaling(image).contiguous(memory_format=torch.channels_last)))

    def _checked(self, image: Tensor, name: str) -> Tensor:
        check_image(image, name=name)
        smallest = _MINIMUM_SIZE[self.net]
        if min(image.shape[2:]) < smallest:
            raise ValueError(
                f'{name} must be at least {smallest} pixels high and wide for net="{self.net}"; '
                f"got {tuple(image.shape)}."
            )
        if not image.requires_grad and has_values(image):
            check_range(image, -1.0, 1.0, name=name)
        return image.float()


def _unit(features: Tensor) -> Tensor:
    # The small constant stands inside the root: at a place where all channels are 0 the gradient stays finite.
    return features / (features.square().sum(1, keepdim=True) + 1e-10).sqrt()
