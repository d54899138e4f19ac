"""The augmented twin of every image, the positive of the contrastive loss."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from kornia.enhance import adjust_hue, adjust_saturation
from torch import Tensor

from examples.mask_removal.data import Batch

_CHOSEN = 3  # tells these draws from those of the twins' colours


class Twin:
    """Mirror a batch and change its colours: flip p = 1, brightness, contrast, saturation p = 0.75 each, hue p = 1.

    Image and reference change alike; masks are only mirrored. Each sample's change is drawn from its own key, such as
    (seed, epoch, place in the epoch): on how many ranks the batch is spread does not change it.

    Args:
        colour: largest relative change of brightness, contrast and saturation.
        hue: largest rotation of the hue, in turns, at most 0.5.

    Reference:
        Lumetti et al., "Mask inpainting with a GAN network". The ranges are ours: it names probabilities only.
    """

    def __init__(self, *, colour: float = 0.2, hue: float = 0.1) -> None:
        self.colour = colour
        self.hue = hue

    @torch.no_grad()
    def __call__(self, batch: Batch, keys: Sequence[tuple[int, ...]]) -> Batch:
        """The twins of a batch, one key for each sample."""
        image, mask, reference, reference_mask = (x.flip(-1) for x in batch)
        draws = torch.tensor(np.array([self._draw(key) for key in keys]), dtype=image.dtype, device=image.device)
        brightness, contrast, saturation, hue = draws.view(-1, 4, 1, 1, 1).unbind(1)
        # Side by side, so that one draw changes both: the reference is the same person in the same light.
        both = (torch.cat([image, reference], dim=-1) + 1) / 2 * brightness
        grey = ((image + 1) / 2 * brightness).mean(dim=(1, 2, 3), keepdim=True)
        both = (grey + (both - grey) * contrast).clamp(0, 1)
        both = adjust_hue(adjust_saturation(both, saturation.flatten()), hue.flatten())
        image, reference = (both * 2 - 1).clamp(-1, 1).chunk(2, dim=-1)
        return Batch(image, mask, reference * reference_mask, reference_mask)

    def _draw(self, key: tuple[int, ...]) -> np.ndarray:
        """Factors of brightness, contrast and saturation, each 1 a quarter of the time, and the turn of the hue."""
        rng = np.random.default_rng(key)
        factors = np.where(rng.random(3) < 0.75, rng.uniform(1 - self.colour, 1 + self.colour, 3), 1.0)
        return np.append(factors, rng.uniform(-self.hue, self.hue) * 2 * math.pi)


def with_twins(batch: Batch, twin: Twin, keys: Sequence[tuple[int, ...]]) -> Batch:
    """The batch, and after it its twins."""
    return Batch(*(torch.cat(pair) for pair in zip(batch, twin(batch, keys), strict=True)))


def some_twins(batch: Batch, twin: Twin, keys: Sequence[tuple[int, ...]]) -> Batch:
    """The batch with its twins in the place of half of the images, drawn by the keys."""
    chosen = torch.tensor([np.random.default_rng((*key, _CHOSEN)).random() < 0.5 for key in keys])
    chosen = chosen.view(-1, 1, 1, 1).to(batch.image.device)
    return Batch(*(torch.where(chosen, b, a) for a, b in zip(batch, twin(batch, keys), strict=True)))


def split_twins(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings of a batch with twins → those of the images, those of their twins."""
    images, twins = embedding.chunk(2)
    return images, twins
