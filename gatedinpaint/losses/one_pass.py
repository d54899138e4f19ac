"""Features of several images and of their target, from one evaluation each: what the feature losses share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatedinpaint._checks import check_image, check_list, check_mask, check_same_shape
from gatedinpaint.losses.features import Features, VGGFeatures


class FeaturePass(NamedTuple):
    """Features of the inputs, in their order and with gradient, and of the target, without.

    Example:
        >>> inputs, target = FeaturePass(inputs=[[torch.zeros(1, 8, 4, 4)]], target=[torch.zeros(1, 8, 4, 4)])
        >>> len(inputs)
        1
    """

    inputs: list[Features]
    """For each input its feature maps, with gradient."""
    target: Features
    """The feature maps of the target, without gradient."""


def feature_pass(
    network: Callable[[Tensor], Features],
    inputs: Sequence[Tensor],
    target: Tensor,
    *,
    masks: Sequence[Tensor | None] | None = None,
) -> FeaturePass:
    """Evaluate a feature network once for all losses of a step.

    The inputs, usually a network's output and its composite, go through in one batch; the target goes through once,
    without gradient. :func:`perceptual_loss` and :func:`style_loss` then measure on what is there. Four terms that
    each evaluate the network on both their sides cost twelve passes (four targets, four inputs, and back); this costs
    five.

    A composite is the target outside of its hole. Told so by ``masks``, :class:`VGGFeatures` computes of its features
    only what the hole can reach, and takes the rest from the target.

    Args:
        network: :class:`VGGFeatures`, or whatever turns (N, 3, H, W) into a list of (N, C, h, w), each sample for
            itself: batch normalisation must be in evaluation mode.
        inputs: (B, 3, H, W) images; receive the gradient.
        target: the image that all of them are compared with, of the same shape; receives none.
        masks: for each input ``None``, or the mask (B, 1, H, W), 1 = hole, outside of which it is the target; there it
            then need not receive a gradient. Other networks than :class:`VGGFeatures` compute everything.

    Returns:
        ``inputs``, a list of feature maps for each input, and ``target``, a list of feature maps.

    Raises:
        TypeError: an image that is not a floating-point tensor; a bare tensor instead of a list.
        ValueError: no inputs, another number of masks, or shapes that differ.

    Example:
        >>> pyramid = lambda image: [image, torch.nn.functional.avg_pool2d(image, 2)]  # or VGGFeatures()
        >>> output, filled, truth = torch.rand(3, 2, 3, 8, 8)
        >>> (of_output, of_filled), of_truth = feature_pass(pyramid, [output, filled], truth)
        >>> [tuple(level.shape) for level in of_filled]
        [(2, 3, 8, 8), (2, 3, 4, 4)]
    """
    check_list(inputs, name="inputs", of="images")
    check_list(masks, name="masks", of="masks")
    if len(inputs) == 0:
        raise ValueError("inputs must hold at least one image; got none.")
    masks = [None] * len(inputs) if masks is None else masks
    if len(masks) != len(inputs):
        raise ValueError(f"masks must have one for each input, or None: {len(inputs)}; got {len(masks)}.")
    check_image(target, name="target", channels=None)
    for index, (image, mask) in enumerate(zip(inputs, masks, strict=True)):
        check_same_shape(image, target, name=f"inputs[{index}]")
        if mask is not None:
            check_mask(mask, image, name=f"masks[{index}]")
    if not isinstance(network, VGGFeatures):
        masks = [None] * len(inputs)
    holes = [(image, mask) for image, mask in zip(inputs, masks, strict=True) if mask is not None]
    whole = [image for image, mask in zip(inputs, masks, strict=True) if mask is None]
    of_target: Features
    if holes and isinstance(network, VGGFeatures):
        *near, of_target = network._near_holes(holes, target)
    else:
        with torch.no_grad():
            near, of_target = [], network(target.detach())
    evaluated = _each(network(torch.cat(whole)), len(whole)) if whole else []
    features: list[Features] = [evaluated.pop(0) if mask is None else near.pop(0) for mask in masks]
    return FeaturePass(features, of_target)


def _each(levels: Features, count: int) -> list[list[Tensor]]:
    """The features of a batch of some images → those of each."""
    chunks = [level.chunk(count) for level in levels]
    return [[level[index] for level in chunks] for index in range(count)]
