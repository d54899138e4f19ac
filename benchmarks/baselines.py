"""What our networks are compared with, beside OpenCV's methods: each fills the holes of a batch."""

import functools
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from tqdm import tqdm

from examples.mask_removal.data import Batch
from examples.mask_removal.fills import Fill, telea
from gatedinpaint import (
    DeepFillV2Generator,
    GatedConv2d,
    GatedUpsample2d,
    composite,
    init_weights,
    load_deepfillv2_weights,
    photo_to_image,
    read_photo,
)


def pasted_reference(batch: Batch) -> Tensor:
    """The warped, relit reference as it is, where it shows the hole; Telea's method where it does not.

    It is what the released code of the paper did with a second photo, before its network came.
    """
    return composite(batch.reference, telea(batch), batch.reference_mask)


def biharmonic(batch: Batch) -> Tensor:
    """scikit-image's solution of the biharmonic equation.

    Reference:
        Damelin and Hoang, "On Surface Completion and Image Inpainting by Biharmonic Functions", 2018.
    """
    from skimage.restoration import inpaint_biharmonic

    filled = []
    for image, mask in zip(batch.image, batch.mask, strict=True):
        hole = mask[0].numpy() > 0.5
        # A copy without the truth: the method must not see what it is to find.
        seen = np.where(hole[..., None], 0.0, image.permute(1, 2, 0).double().numpy())
        result = inpaint_biharmonic(seen, hole, channel_axis=-1)
        filled.append(torch.from_numpy(result).float().permute(2, 0, 1))
    return torch.stack(filled).clamp(-1, 1)


def deep_image_prior(batch: Batch, *, steps: int, width: int = 32, seed: int = 0) -> Tensor:
    """Fit a network that knows no other picture to what is visible, and look at what it makes of the hole.

    An hourglass from fixed noise to the image, four halvings deep and without skips, as the original takes for large
    holes, but of this library's gated convolutions; squared error of the visible pixels, the noise moved a little in
    every step, and the mean of the second half of the steps as the result. Every image is fitted by itself. Adam goes
    at 0.003: at the original's 0.01, which goes with batch normalisation, some fits break down.

    Reference:
        Ulyanov, Vedaldi and Lempitsky, "Deep Image Prior", CVPR 2018.
    """
    filled = []
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        pairs = list(zip(batch.image.clone(), batch.mask.clone(), strict=True))
        for image, mask in tqdm(pairs, desc="deep image prior", unit=" faces", leave=False, disable=None):
            torch.manual_seed(seed)
            network = _hourglass(width)
            optimizer = torch.optim.Adam(network.parameters(), 0.003)
            noise = 0.1 * torch.rand(1, width, *image.shape[1:])
            visible, mean = 1 - mask, torch.zeros_like(image)
            for step in range(steps):
                result = network(noise + 0.03 * torch.randn_like(noise))[0]
                loss = mse_loss(result * visible, image * visible)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if 2 * step >= steps:
                    mean += result.detach() / (steps - (steps + 1) // 2)
            filled.append(mean)
    return torch.stack(filled).clamp(-1, 1)


def _hourglass(width: int) -> nn.Sequential:
    down = [GatedConv2d(width, width, 4, stride=2) for _ in range(4)]
    up = [GatedUpsample2d(width, width, mode="bilinear") for _ in range(4)]
    network = nn.Sequential(*down, GatedConv2d(width, width, 3), *up, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())
    init_weights(network)
    return network


def deepfillv2(weights: Path) -> Fill:
    """DeepFillv2 with public weights, which are to be had elsewhere; see ``load_deepfillv2_weights``."""
    generator: DeepFillV2Generator = load_deepfillv2_weights(weights)
    generator.eval()
    return lambda batch: generator(batch.image, batch.mask).refined


class FolderOfResults:
    """Results that another program made: one picture per sample, ``<id>.png`` or ``.jpg``, of the sample's size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def of(self, ids: list[str], batch: Batch) -> Tensor:
        """The pictures of a batch.

        Raises:
            ValueError: one is missing or of another size.
        """
        return torch.cat([self._one(id, image) for id, image in zip(ids, batch.image, strict=True)])

    def _one(self, id: str, image: Tensor) -> Tensor:
        path = next((p for ending in (".png", ".jpg") if (p := self.folder / f"{id}{ending}").is_file()), None)
        if path is None:
            raise ValueError(f"{self.folder}: no {id}.png or .jpg. Every sample needs a result.")
        result = photo_to_image(read_photo(path))
        if result.shape[1:] != image.shape:
            raise ValueError(f"{path}: must be {tuple(image.shape[1:])} pixels (H, W); got {tuple(result.shape[2:])}.")
        return result


def prior_of(steps: int) -> Fill:
    """:func:`deep_image_prior` with so many steps."""
    return functools.partial(deep_image_prior, steps=steps)
