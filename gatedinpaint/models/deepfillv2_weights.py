"""Published PyTorch weights of DeepFillv2, read into our generator: only tensors, and only all of them."""

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from gatedinpaint._weights_file import read_weights
from gatedinpaint.models._fit import misfits
from gatedinpaint.models.deepfillv2 import DeepFillV2Generator

_DECODER = ("up_block1.conv1_upsample.conv", "up_block1.conv2", "up_block2.conv1_upsample.conv", "up_block2.conv2")
# The published names of the convolutions, in the order in which our generator holds them.
_CONVOLUTIONS = (
    *(
        f"stage1.{name}.conv"
        for name in (
            "conv1",
            *("down_block1.conv1_downsample", "down_block1.conv2", "down_block2.conv1_downsample", "down_block2.conv2"),
            *("conv_bn1", "conv_bn2", "conv_bn3", "conv_bn4", "conv_bn5", "conv_bn6", "conv_bn7"),
            *_DECODER,
            "conv_to_rgb",
        )
    ),
    *(
        f"stage2.{name}.conv"
        for name in (
            # the branch with dilations
            "conv_conv1",
            *("conv_down_block1.conv1_downsample", "conv_down_block1.conv2"),
            *("conv_down_block2.conv1_downsample", "conv_down_block2.conv2"),
            *("conv_conv_bn1", "conv_conv_bn2", "conv_conv_bn3", "conv_conv_bn4", "conv_conv_bn5"),
            # the branch with attention, before and after it
            "ca_conv1",
            *("ca_down_block1.conv1_downsample", "ca_down_block1.conv2"),
            *("ca_down_block2.conv1_downsample", "ca_down_block2.conv2"),
            "ca_conv_bn1",
            *("ca_conv_bn4", "ca_conv_bn5"),
            # joined
            *("conv_bn6", "conv_bn7"),
            *_DECODER,
            "conv_to_rgb",
        )
    ),
)
# The 3×3 identity that sums along diagonals: a constant, which ContextualAttention2d does not need.
_FUSE_WEIGHT = "stage2.contextual_attention.fuse_weight"


def load_deepfillv2_weights(path: str | os.PathLike[str]) -> DeepFillV2Generator:
    """Build a :class:`DeepFillV2Generator` from published PyTorch weights, in eval mode.

    The file is a PyTorch checkpoint, a dict whose key ``G`` holds the generator's tensors or that dict itself, or the
    same tensors as safetensors; a prefix ``module.`` is taken off. The width is read from the shapes, half precision
    becomes float32. Nothing in the file is executed, and every tensor must have its place.

    Weights converted from the TensorFlow release, whose names lack ``stage1.``, are refused: at stride 2 they expect
    TensorFlow's padding, more on one side than on the other, and would give wrong results here without an error.

    Args:
        path: a ``.safetensors`` file, or any other name for a PyTorch checkpoint.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a damaged file; a pickle with anything but tensors and plain data in it; weights of another family;
            tensors that are missing, left over or of another shape (the message names all of them).

    Example:
        >>> path = getfixture("tmp_path") / "states.pth"
        >>> torch.save({"G": {"conv1.conv.weight": torch.zeros(48, 5, 5, 5)}}, path)
        >>> load_deepfillv2_weights(path)
        Traceback (most recent call last):
        ...
        ValueError: ...states.pth: no tensor is named stage1.… These may be weights converted from TensorFlow, ...
    """
    path = Path(path)
    weights = read_weights(path, inside="G")
    if weights and all(key.startswith("module.") for key in weights):  # left there by DataParallel
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    if not any(key.startswith("stage1.") for key in weights):
        raise ValueError(
            f"{path}: no tensor is named stage1.… These may be weights converted from TensorFlow, which need "
            "TensorFlow's asymmetric padding at stride 2 and would give wrong results in this network. Expected the "
            "family trained in PyTorch, with names such as stage1.conv1.conv.weight."
        )
    first = weights.get("stage1.conv1.conv.weight", torch.empty(0))  # (c, 5, 5, 5)
    # Without memory until the weights are known to fit.
    with torch.device("meta"):
        model = DeepFillV2Generator(max(4, first.numel() // 125 // 4 * 4))
    names = _names(model)
    _check_fit(weights, names, model, path)
    ours = {key: weights[published] for published, key in names.items()}
    model.to_empty(device="cpu").load_state_dict(ours, strict=True)
    return model.eval()


def _names(model: DeepFillV2Generator) -> dict[str, str]:
    """From the published name of every parameter to ours."""
    ours = [name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d)]
    return {
        f"{published}.{parameter}": f"{name}.{parameter}"
        for published, name in zip(_CONVOLUTIONS, ours, strict=True)
        for parameter in ("weight", "bias")
    }


def _check_fit(weights: dict[str, Tensor], names: dict[str, str], model: DeepFillV2Generator, path: Path) -> None:
    expected = {published: model.get_parameter(name) for published, name in names.items()}
    problems = misfits(expected, {key: value for key, value in weights.items() if key != _FUSE_WEIGHT})
    fuse = weights.get(_FUSE_WEIGHT, torch.eye(3))
    if fuse.numel() != 9 or not torch.equal(fuse.float().view(3, 3), torch.eye(3)):
        problems.append(f"{_FUSE_WEIGHT} is not the 3×3 identity")
    if problems:
        raise ValueError(
            f"{path}: weights do not fit DeepFillV2Generator({model.base_channels}): {'; '.join(problems)}."
        )
