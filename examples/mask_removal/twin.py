"""The augmented twin of every image, the positive of the contrastive loss."""

import kornia.augmentation as K
import torch
from torch import Tensor, nn

from examples.mask_removal.data import Batch


class Twin(nn.Module):
    """Mirror a batch and change its colours: flip p = 1, brightness, contrast, saturation p = 0.75 each, hue p = 1.

    Image and reference change alike; masks are only mirrored. kornia's transforms expect [0, 1] and are given it.

    Args:
        colour: largest relative change of brightness, contrast and saturation.
        hue: largest rotation of the hue, in turns, at most 0.5.

    Reference:
        Lumetti et al., "Mask inpainting with a GAN network". The ranges are ours: it names probabilities only.
    """

    def __init__(self, *, colour: float = 0.2, hue: float = 0.1) -> None:
        super().__init__()
        around_one = (1 - colour, 1 + colour)
        self.colour = K.ImageSequential(
            K.ColorJiggle(brightness=around_one, p=0.75),
            K.ColorJiggle(contrast=around_one, p=0.75),
            K.ColorJiggle(saturation=around_one, p=0.75),
            K.ColorJiggle(hue=(-hue, hue), p=1.0),
        )

    @torch.no_grad()
    def forward(self, batch: Batch) -> Batch:
        """The twins of a batch."""
        image, mask, reference, reference_mask = (x.flip(-1) for x in batch)
        # Side by side, so that one draw changes both: the reference is the same person in the same light.
        both = self.colour((torch.cat([image, reference], dim=-1) + 1) / 2) * 2 - 1
        image, reference = both.clamp(-1, 1).chunk(2, dim=-1)
        return Batch(image, mask, reference * reference_mask, reference_mask)


def with_twins(batch: Batch, twin: Twin) -> Batch:
    """The batch, and after it its twins."""
    return Batch(*(torch.cat(pair) for pair in zip(batch, twin(batch), strict=True)))


def split_twins(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Embeddings of a batch with twins → those of the images, those of their twins."""
    images, twins = embedding.chunk(2)
    return images, twins
