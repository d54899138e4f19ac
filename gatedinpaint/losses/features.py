"""Feature maps of a pretrained VGG network, over which the perceptual and the style loss measure."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_image, has_values
from gatedinpaint._conv2d import Conv2d, keep_filters
from gatedinpaint._optional import require
from gatedinpaint._weights_file import read_weights
from gatedinpaint.losses._near_hole import box_of, features_near_hole

Features: TypeAlias = Sequence[Tensor]
"""Feature maps (B, C, H, W), one per level; C, H and W may differ between levels."""

# 3×3 convolutions per block of torchvision's networks, cut after the first one of block 5.
_CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 1), "vgg19": (2, 2, 4, 4, 1)}
_CHANNELS = (64, 128, 256, 512, 512)
_MINIMUM_SIZE = 16  # four poolings halve it down to one pixel
# Statistics of ImageNet on the scale [0, 1], with which torchvision's networks were trained.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class VGGFeatures(nn.Module):
    r"""Frozen VGG features relu1_1, relu2_1, relu3_1, relu4_1, relu5_1.

    The image is brought from ``input_range`` to the statistics of ImageNet first. The network's parameters never
    receive a gradient; the image does. For an image of (B, 3, H, W) level :math:`l = 0 \dots 4` is
    (B, C_l, H // 2^l, W // 2^l) with C = 64, 128, 256, 512, 512.

    A tensor that needs no gradient is taken for a finished image and must lie in ``input_range``, give or take 5 % of
    its width. The output of a network in training may overshoot and is not checked; evaluated under ``no_grad`` it is,
    so put the network into evaluation mode there, or clamp. A graph that is compiled or exported checks no range.

    Inside, and in the features, memory is laid out as ``torch.channels_last``. Give :func:`feature_pass` all images of
    a step at once: this network costs more than most generators.

    Args:
        net: ``"vgg19"`` or ``"vgg16"``.
        weights: ``None`` takes torchvision's ImageNet weights, from its cache or by download. Otherwise the path of a
            state dict (``.safetensors``, or any other name for a PyTorch checkpoint, of which nothing is executed),
            or the state dict itself, with the keys of torchvision's model (``features.0.weight``, ...). Keys of the
            classifier and of layers after relu5_1 are ignored.
        input_range: lowest and highest value of the images that will come.

    Raises:
        ImportError: ``weights=None`` without torchvision.
        FileNotFoundError: ``weights`` is the path of no file.
        TypeError: an image that is not a floating-point tensor.
        RuntimeError: ``weights=None``, and the weights came neither from the cache nor by download.
        ValueError: an unknown ``net``, a damaged file, a file with anything but tensors and plain data in it, a state
            dict of another network, an ``input_range`` that is empty; in the forward pass an image that is not
            (B, 3, H, W), is under 16 pixels, or is outside ``input_range`` (as NaN is).

    Reference:
        Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015. The
        levels are those of Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016.

    Departs from the paper:
        The mask-inpainting paper says only "5" levels of VGG-19, and nothing of the range.

    Example:
        >>> vgg = VGGFeatures()  # doctest: +SKIP
        >>> [tuple(level.shape) for level in vgg(torch.zeros(1, 3, 32, 32))]  # doctest: +SKIP
        [(1, 64, 32, 32), (1, 128, 16, 16), (1, 256, 8, 8), (1, 512, 4, 4), (1, 512, 2, 2)]
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: Literal["vgg19", "vgg16"] = "vgg19",
        *,
        weights: str | os.PathLike[str] | Mapping[str, Tensor] | None = None,
        input_range: tuple[float, float] = (-1.0, 1.0),
    ) -> None:
        super().__init__()
        if net not in _CONVOLUTIONS:
            raise ValueError(f'net must be "vgg19" or "vgg16"; got {net!r}.')
        low, high = input_range
        if not low < high:
            raise ValueError(f"input_range must be (lowest, highest); got {input_range}.")
        self.net = net
        self.input_range = (float(low), float(high))
        self.features, self.levels = _build(_CONVOLUTIONS[net])
        _load(self, weights)
        self.requires_grad_(False)
        self.eval()
        # Forward and gradient of the image are faster so; the gradient of weights, which is not, is never taken.
        self.to(memory_format=torch.channels_last)
        keep_filters(self)
        device = next(self.features.parameters()).device
        # x01 = (x - low) / (high - low), then (x01 - mean) / std, as one shift and one scale.
        mean = [low + (high - low) * value for value in _MEAN]
        std = [(high - low) * value for value in _STD]
        self.register_buffer("mean", torch.tensor(mean, device=device).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std, device=device).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        x, features = self._normalized(image), []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.levels:
                features.append(x)
        return features

    def _near_holes(self, images: Sequence[tuple[Tensor, Tensor]], target: Tensor) -> list[list[Tensor]]:
        """The features of images (B, 3, H, W), each with the mask (B, 1, H, W) outside of which it is the target, then
        those of the target, without gradient. Only what the holes can reach is computed; the rest is the target's.
        """
        layers = list(self.features)
        with torch.no_grad():
            maps = [self._normalized(target.detach())]
            for layer in layers:
                maps.append(layer(maps[-1]))  # a ReLU changes its input in place, which then is no convolution's
        near = [
            features_near_hole(layers, self.levels, self._normalized(image), maps, box_of(mask))
            for image, mask in images
        ]
        return [*near, [maps[level + 1] for level in self.levels]]

    def _normalized(self, image: Tensor) -> Tensor:
        check_image(image)
        if min(image.shape[2:]) < _MINIMUM_SIZE:
            raise ValueError(f"image must be at least {_MINIMUM_SIZE} pixels high and wide; got {tuple(image.shape)}.")
        if not image.requires_grad and has_values(image):
            _check_range(image, self.input_range)
        return ((image.to(self.mean.dtype) - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> "VGGFeatures":
        """Stay in evaluation mode, whatever ``mode`` says: the network is a measure, not a thing to train."""
        return super().train(False)

    def extra_repr(self) -> str:
        return f"net={self.net!r}, input_range={self.input_range}"


def check_features(input_features: Features, target_features: Features) -> None:
    """Raise unless both are lists of as many (B, C, H, W) maps, of one shape level by level."""
    for name, features in (("input_features", input_features), ("target_features", target_features)):
        if isinstance(features, Tensor):
            raise TypeError(f"{name} must be a list of feature maps, one per level; got a Tensor. Pass [{name}].")
    if len(input_features) != len(target_features) or len(input_features) == 0:
        raise ValueError(
            "input_features and target_features must have as many levels, at least one; "
            f"got {len(input_features)} and {len(target_features)}."
        )
    for level, (input, target) in enumerate(zip(input_features, target_features, strict=True)):
        check_image(input, name=f"input_features[{level}]", channels=None)
        check_image(target, name=f"target_features[{level}]", channels=None)
        if input.shape != target.shape:
            raise ValueError(
                f"input_features and target_features must have one shape at every level; "
                f"got {tuple(input.shape)} and {tuple(target.shape)} at level {level}."
            )


def _build(convolutions: tuple[int, ...]) -> tuple[nn.Sequential, tuple[int, ...]]:
    """The layers under torchvision's indices, without values yet, and the indices of relu1_1 ... relu5_1."""
    layers: list[nn.Module] = []
    levels: list[int] = []
    in_channels = 3
    for block, (count, channels) in enumerate(zip(convolutions, _CHANNELS, strict=True)):
        if block > 0:
            layers.append(nn.MaxPool2d(2))
        levels.append(len(layers) + 1)
        for _ in range(count):
            # On "meta" nothing is drawn: making the network must not move the caller's random state.
            layers += [Conv2d(in_channels, channels, 3, padding=1, device="meta"), nn.ReLU(inplace=True)]
            in_channels = channels
    return nn.Sequential(*layers).to_empty(device="cpu"), tuple(levels)


def _load(vgg: VGGFeatures, weights: str | os.PathLike[str] | Mapping[str, Tensor] | None) -> None:
    """Copy the values of ``weights`` into the network."""
    if weights is None:
        state: Mapping[str, Tensor] = _torchvision_weights(vgg.net)
    elif isinstance(weights, Mapping):
        state = weights
    else:
        state = read_weights(weights)
    wanted = vgg.state_dict()
    wrong = [key for key, value in wanted.items() if key not in state or state[key].shape != value.shape]
    if wrong:
        raise ValueError(
            f"weights must be the state dict of torchvision's {vgg.net}; missing or of another shape: "
            f"{', '.join(wrong)}. Pass the net that the weights are of."
        )
    vgg.load_state_dict({key: state[key] for key in wanted})


def _torchvision_weights(net: str) -> Mapping[str, Tensor]:
    """The default weights, from the cache of ``torch.hub`` or by download."""
    url = require("torchvision.models", "losses").get_model_weights(net).DEFAULT.url
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        state: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(
            url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:
        raise RuntimeError(
            f"the {net} weights came neither from the cache ({file}) nor by download from {url}: {error}. "
            "Put the file there, or pass weights= with a path or a state dict."
        ) from error
    return state


def _check_range(image: Tensor, input_range: tuple[float, float]) -> None:
    low, high = input_range
    lowest, highest = (float(value) for value in image.detach().aminmax())
    margin = 0.05 * (high - low)
    # Written so that NaN fails too.
    if not (lowest >= low - margin and highest <= high + margin):
        raise ValueError(
            f"image must be in input_range = ({low:g}, {high:g}); got values from {lowest:g} to {highest:g}. "
            "Scale the image, or pass the input_range that it has. The output of a generator in training mode may "
            "overshoot: under no_grad call generator.eval() first, or clamp it."
        )
