"""The generator that a run begins with."""

from examples.mask_removal.arguments import Arguments
from gatedinpaint import InpaintGenerator, load_model


def first_generator(arguments: Arguments) -> InpaintGenerator:
    """With fresh weights, or those of ``--start-from``.

    Raises:
        ValueError, FileNotFoundError: another network, or none.
    """
    generator = InpaintGenerator(arguments.config.base_channels)
    if arguments.start_from is None:
        return generator
    begun = load_model(arguments.start_from)
    if not isinstance(begun, InpaintGenerator) or begun.config != generator.config:
        found = f"{type(begun).__name__} with {getattr(begun, 'config', {})}"
        raise ValueError(
            f"{arguments.start_from}: expected an InpaintGenerator with {generator.config}; got {found}. "
            "Choose --base-channels like it."
        )
    return begun.train()
