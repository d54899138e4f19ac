"""The generator that a run begins with."""

from pathlib import Path

from torch import nn

from examples.mask_removal.arguments import Arguments
from gatedinpaint import InpaintGenerator, load_model


def first_generator(arguments: Arguments) -> InpaintGenerator:
    """With fresh weights, or those of ``--start-from``, the first stage's from ``--coarse-from`` where that is given.

    Raises:
        ValueError, FileNotFoundError: another network, or none.
    """
    config = arguments.config
    generator = InpaintGenerator(config.base_channels, coarse=config.coarse)
    generator.coarse_only = config.coarse_only
    if arguments.start_from is not None:
        begun = _load(arguments.start_from, generator)
        _take(generator.refine, begun.refine)
        if arguments.coarse_from is None:
            _must_be(begun.config == generator.config, arguments.start_from, begun, generator)
            _take(generator.coarse, begun.coarse)
    if arguments.coarse_from is not None:
        begun = _load(arguments.coarse_from, generator)
        _must_be(begun.config == generator.config, arguments.coarse_from, begun, generator)
        _take(generator.coarse, begun.coarse)
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
            "Choose --base-channels and --coarse like it."
        )


def _take(stage: nn.Module, of: nn.Module) -> None:
    stage.load_state_dict(of.state_dict())
