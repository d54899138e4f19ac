"""Ways to fill the holes of a batch: what is compared."""

from collections.abc import Callable

import cv2
import torch
from torch import Tensor

from examples.mask_removal.data import Batch
from examples.mask_removal.painting import SIZES, paint_crop
from gatedinpaint import InpaintGenerator, image_to_photo, photo_to_image

Fill = Callable[[Batch], Tensor]
"""What a method makes of a batch: whole frames in [−1, 1], of which only the hole is used."""


def fills_of(generator: InpaintGenerator, side: int = SIZES[0]) -> dict[str, Fill]:
    """The ways of a generator by name, for crops of ``side`` pixels; the batches they get come with references."""
    fills: dict[str, Fill] = {"without reference": lambda batch: generator(*batch[:2]).refined}
    if generator.config["reference"]:
        fills["with reference"] = lambda batch: generator(*batch).refined
        if side > SIZES[0]:
            fills["in two passes"] = lambda batch: _in_two_passes(generator, batch)
    return fills | {"coarse only": lambda batch: generator(*batch[:2]).coarse}


def _in_two_passes(generator: InpaintGenerator, batch: Batch) -> Tensor:
    """As the pipeline fills photos without a reference."""
    return torch.cat(
        [
            photo_to_image(paint_crop(generator, image_to_photo(image[None]), mask[0].numpy() > 0.5, size=len(mask[0])))
            for image, mask in zip(batch.image, batch.mask, strict=True)
        ]
    )


def telea(batch: Batch) -> Tensor:
    """OpenCV's fast marching method, radius 3.

    Reference:
        Telea, "An Image Inpainting Technique Based on the Fast Marching Method", Journal of Graphics Tools 2004.
    """
    return _opencv(batch, cv2.INPAINT_TELEA)


def navier_stokes(batch: Batch) -> Tensor:
    """OpenCV's method from fluid dynamics, radius 3.

    Reference:
        Bertalmio et al., "Navier-Stokes, Fluid Dynamics, and Image and Video Inpainting", CVPR 2001.
    """
    return _opencv(batch, cv2.INPAINT_NS)


def _opencv(batch: Batch, method: int) -> Tensor:
    filled = []
    for image, mask in zip(batch.image, batch.mask, strict=True):
        hole = (mask[0] > 0.5).to(torch.uint8).cpu().numpy()
        filled.append(photo_to_image(cv2.inpaint(image_to_photo(image[None]), hole, 3, method)))
    return torch.cat(filled)
