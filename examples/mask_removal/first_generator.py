"""The generator that a run begins with."""

from pathlib import Path

import torch
from torch import nn

from examples.mask_removal.arguments import Arguments
from gatedinpaint import InpaintGenerator, RefineNet, load_model


def first_generator(arguments: Arguments) -> InpaintGenerator:
    """With fresh weights, or those of ``--start-from``, the first stage's from ``--coarse-from`` where that is given.

    A second stage with all skips may begin with one that has the deep ones alone: what is added says nothing at first.

    Raises:
        ValueError, FileNotFoundError: another network, or none.
    """
    config = arguments.config
    generator = InpaintGenerator(
        config.base_channels, coarse=config.coarse, skips=config.skips, self_ensemble=config.self_ensemble
    )
    generator.coarse_only = config.coarse_only
    if arguments.start_from is not None:
        begun = _load(arguments.start_from, generator)
        if (begun.refine.skips, config.skips) == ("deep", "all"):
            _widen(generator.refine, begun.refine)
        else:
            _must_be(begun.refine.skips == config.skips, arguments.start_from, begun, generator)
            generator.refine.load_state_dict(begun.refine.state_dict())
        if arguments.coarse_from is None:
            _take_first_stage(generator, arguments.start_from, begun)
    if arguments.coarse_from is not None:
        _take_first_stage(generator, arguments.coarse_from, _load(arguments.coarse_from, generator))
    return generator


def _load(folder: Path, like: InpaintGenerator) -> InpaintGenerator:
    """The generator in a folder, if it is of the same width and has reference channels too."""
    begun = load_model(folder)
    same = isinstance(begun, InpaintGenerator) and (begun.base_channels, begun.reference) == (
        like.base_channels,
        like.reference,
    )
    _must_be(same, folder, begun, like)
    return begun


def _must_be(same: bool, folder: Path, begun: nn.Module, like: InpaintGenerator) -> None:
    if not same:
        found = f"{type(begun).__name__} with {getattr(begun, 'config', {})}"
        raise ValueError(
            f"{folder}: expected an InpaintGenerator with {like.config}; got {found}. "
            "Choose --base-channels, --coarse and --skips like it."
        )


def _take_first_stage(generator: InpaintGenerator, folder: Path, begun: InpaintGenerator) -> None:
    _must_be(type(begun.coarse) is type(generator.coarse), folder, begun, generator)
    generator.coarse.load_state_dict(begun.coarse.state_dict())


@torch.no_grad()
def _widen(stage: RefineNet, narrow: RefineNet) -> None:
    """Give a second stage with all skips the weights of one with the deep skips, and its result.

    The old filters ignore the added channels, and the added block adds nothing: its last filters are 0. The added
    filters keep the weights they have.
    """
    weights = stage.state_dict()
    for name, old in narrow.state_dict().items():
        new = weights[name]
        new[: len(old)] = 0
        new[tuple(slice(size) for size in old.shape)] = old
    fuse = stage.finish.fuse.conv
    fuse.weight[: stage.finish.channels] = 0
    fuse.bias[: stage.finish.channels] = 0
