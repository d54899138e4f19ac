"""Features of several images and of their target, from one evaluation each: what the feature losses share."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gatedinpaint._checks import check_image, check_same_shape
from gatedinpaint.losses.features import Features


class FeaturePass(NamedTuple):
    """Features of the inputs, in their order and with gradient, and of the target, without.

    Example:
        >>> inputs, target = FeaturePass(inputs=[[torch.zeros(1, 8, 4, 4)]], target=[torch.zeros(1, 8, 4, 4)])
        >>> len(inputs)
        1
    """

    inputs: list[Features]
    target: Features


def feature_pass(network: Callable[[Tensor], Features], inputs: Sequence[Tensor], target: Tensor) -> FeaturePass:
    """Evaluate a feature network once for all losses of a step.

    The inputs, usually a network's output and its composite, go through in one batch; the target goes through once,
    without gradient. :func:`perceptual_loss` and :func:`style_loss` then measure on what is there. Four terms that
    each evaluate the network on both their sides cost twelve passes (four targets, four inputs, and back); this costs
    five.

    Args:
        network: :class:`VGGFeatures`, or whatever turns (N, 3, H, W) into a list of (N, C, h, w), each sample for
            itself: batch normalisation must be in evaluation mode.
        inputs: (B, 3, H, W) images; receive the gradient.
        target: the image that all of them are compared with, of the same shape; receives none.

    Returns:
        ``inputs``, a list of feature maps for each input, and ``target``, a list of feature maps.

    Raises:
        TypeError: an image that is not a floating-point tensor.
        ValueError: no inputs, or shapes that differ.

    Example:
        >>> pyramid = lambda image: [image, torch.nn.functional.avg_pool2d(image, 2)]  # or VGGFeatures()
        >>> output, filled, truth = torch.rand(3, 2, 3, 8, 8)
        >>> (of_output, of_filled), of_truth = feature_pass(pyramid, [output, filled], truth)
        >>> [tuple(level.shape) for level in of_filled]
        [(2, 3, 8, 8), (2, 3, 4, 4)]
    """
    if len(inputs) == 0:
        raise ValueError("inputs must hold at least one image; got none.")
    check_image(target, name="target", channels=None)
    for index, image in enumerate(inputs):
        check_same_shape(image, target, name=f"inputs[{index}]")
    with torch.no_grad():
        of_target = network(target.detach())
    levels = [level.chunk(len(inputs)) for level in network(torch.cat(list(inputs)))]
    return FeaturePass([[level[index] for level in levels] for index in range(len(inputs))], of_target)
