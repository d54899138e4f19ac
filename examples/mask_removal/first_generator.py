"""The generator that a run begins with."""

from pathlib import Path

import torch

from examples.mask_removal.arguments import Arguments
from examples.mask_removal.config import Config
from gatedinpaint import InpaintGenerator, RefineNet, load_model


def build_generator(config: Config) -> InpaintGenerator:
    """With fresh weights."""
    generator = InpaintGenerator(
        config.base_channels,
        coarse=config.coarse,
        skips=config.skips,
        self_ensemble=config.self_ensemble,
        reference_rank=config.reference_rank,
    )
    generator.coarse_only = config.coarse_only
    if config.reference_rank:
        generator.requires_grad_(False).guided.requires_grad_(True)
    elif config.coarse_only:
        generator.refine.requires_grad_(False)
    return generator


def first_generator(arguments: Arguments) -> InpaintGenerator:
    """With fresh weights, or those of ``--start-from``, the first stage's from ``--coarse-from`` where that is given.

    A second stage with all skips may begin with one that has the deep ones alone: what is added changes nothing at
    first.

    Raises:
        ValueError, FileNotFoundError: another network, or none.
    """
    config = arguments.config
    generator = build_generator(config)
    if arguments.start_from is not None:
        begun = _load(arguments.start_from, generator)
        if (begun.refine.skips, config.skips) == ("deep", "all"):
            _widen(generator.refine, begun.refine)
        else:
            _must_have("skips", begun.refine.skips, config.skips, arguments.start_from)
            generator.refine.load_state_dict(begun.refine.state_dict())
        _take_updates(generator, arguments.start_from, begun)
        if arguments.coarse_from is None:
            _take_first_stage(generator, arguments.start_from, begun)
    if arguments.coarse_from is not None:
        _take_first_stage(generator, arguments.coarse_from, _load(arguments.coarse_from, generator))
    return generator


def _load(folder: Path, like: InpaintGenerator) -> InpaintGenerator:
    """The generator in a folder, if it is of the same width and has reference channels too."""
    begun = load_model(folder)
    if not (isinstance(begun, InpaintGenerator) and begun.reference):
        found = f"{type(begun).__name__} with {getattr(begun, 'config', {})}"
        raise ValueError(f"{folder}: expected an InpaintGenerator with reference channels; got {found}.")
    _must_have("base_channels", begun.base_channels, like.base_channels, folder)
    return begun


def _must_have(name: str, found: int | str, wanted: int | str, folder: Path) -> None:
    if found != wanted:
        option = f"--{name.replace('_', '-')}"
        raise ValueError(f"{folder}: expected {name} {wanted}; got {found}. Choose {option} {found}, or other weights.")


def _take_first_stage(generator: InpaintGenerator, folder: Path, begun: InpaintGenerator) -> None:
    _must_have("coarse", *(network.config.get("coarse", "dilated") for network in (begun, generator)), folder)
    generator.coarse.load_state_dict(begun.coarse.state_dict())


def _take_updates(generator: InpaintGenerator, folder: Path, begun: InpaintGenerator) -> None:
    """Those for references; where there are none yet they begin with no change."""
    if begun.guided is not None:
        _must_have("reference_rank", begun.reference_rank, generator.reference_rank, folder)
        generator.guided.load_state_dict(begun.guided.state_dict())


@torch.no_grad()
def _widen(stage: RefineNet, narrow: RefineNet) -> None:
    """Give a second stage with all skips the weights of one with the deep skips, and its result.

    The old filters ignore the added channels, and the added blocks add nothing: their last filters are 0. The added
    filters keep the weights they have.
    """
    weights = stage.state_dict()
    for name, old in narrow.state_dict().items():
        new = weights[name]
        new[: len(old)] = 0
        new[tuple(slice(size) for size in old.shape)] = old
    for block in stage.polish:
        fuse = block.fuse.conv
        fuse.weight[: block.channels] = 0
        fuse.bias[: block.channels] = 0
