"""A whole GAN training step from the building blocks, on drawn pictures: runs anywhere, in seconds.

    python -m examples.train_minimal

Two networks, the hinge losses, the reconstruction and total variation, an embedding that must know its mirrored twin,
the gradient cut where it must be, and a running average of the generator. ``examples/mask_removal/train.py`` has what
a real run needs besides: data, perceptual losses, precision, checkpoints, several processes.
"""

import copy

import torch
from torch import Tensor

from gatedinpaint import (
    InpaintGenerator,
    SNPatchDiscriminator,
    composite,
    free_form_mask,
    hinge_discriminator_loss,
    hinge_generator_loss,
    info_nce_loss,
    masked_l1_loss,
    total_variation_loss,
    weighted_sum,
)

SIZE = 32
WEIGHTS = {"adversarial": 0.02, "reconstruction": 1.0, "total_variation": 0.02, "contrastive": 0.02}


def pictures(count: int, *, seed: int) -> Tensor:
    """Two-coloured discs: (count, 3, 32, 32) in [−1, 1]."""
    random = torch.Generator().manual_seed(seed)
    inside, outside = torch.rand(2, count, 3, 1, 1, generator=random) * 2 - 1
    x, y = torch.rand(2, count, 1, 1, 1, generator=random) * SIZE
    rows, columns = torch.arange(SIZE).view(-1, 1), torch.arange(SIZE)
    disc = (rows - y) ** 2 + (columns - x) ** 2 < (SIZE / 3) ** 2
    return torch.where(disc, inside, outside)


def train(steps: int = 60, *, batch_size: int = 4) -> list[float]:
    """Train for a few steps and return the reconstruction loss of each."""
    torch.manual_seed(0)
    generator = InpaintGenerator(4, reference=False)
    discriminator = SNPatchDiscriminator(4)
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    generator_adam = torch.optim.Adam(generator.parameters(), 1e-3, betas=(0.5, 0.999))
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), 1e-3, betas=(0.5, 0.999))

    history = []
    for step in range(steps):
        image = pictures(batch_size, seed=0)  # the same ones at every step, under new holes
        mask = torch.cat(
            [free_form_mask((SIZE, SIZE), hole_ratio=0.3, seed=1000 * step + n) for n in range(batch_size)]
        )
        image, mask = torch.cat([image, image.flip(-1)]), torch.cat([mask, mask.flip(-1)])  # and the mirrored twins

        output = generator(image, mask)
        filled = composite(output.refined, image, mask)

        # The discriminator learns to tell them apart. detach: nothing of its loss goes back into the generator.
        real_logits = discriminator(image, mask)
        fake_logits = discriminator(filled.detach(), mask)
        discriminator_adam.zero_grad()
        hinge_discriminator_loss(real_logits, fake_logits).backward()
        discriminator_adam.step()

        # The generator learns to please it. Frozen, the discriminator passes the gradient on and keeps none.
        discriminator.requires_grad_(False)
        embedding, twin_embedding = output.embedding.chunk(2)
        terms = {
            "adversarial": hinge_generator_loss(discriminator(filled, mask)),
            "reconstruction": masked_l1_loss(output.coarse, image, mask) + masked_l1_loss(output.refined, image, mask),
            "total_variation": total_variation_loss(filled),
            "contrastive": info_nce_loss(embedding, twin_embedding),
        }
        generator_adam.zero_grad()
        weighted_sum(terms, WEIGHTS).backward()
        generator_adam.step()
        discriminator.requires_grad_(True)

        with torch.no_grad():
            for mean, weight in zip(average.parameters(), generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - 0.9)
        history.append(terms["reconstruction"].item())
    return history


if __name__ == "__main__":
    losses = train()
    print(
        f"reconstruction: {sum(losses[:10]) / 10:.2f} in the first ten steps, {sum(losses[-10:]) / 10:.2f} in the last"
    )
