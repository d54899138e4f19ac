"""The losses of each network's training step, and the running average of the generator."""

from dataclasses import asdict

import torch
from torch import Tensor, nn

from examples.mask_removal.config import Config
from examples.mask_removal.data import Batch
from examples.mask_removal.perceptual_networks import AlexNetFeatures
from examples.mask_removal.twin import split_twins
from gatedinpaint import (
    InpaintOutput,
    SNPatchDiscriminator,
    composite,
    feature_pass,
    hinge_discriminator_loss,
    hinge_generator_loss,
    info_nce_loss,
    masked_l1_loss,
    perceptual_loss,
    style_loss,
    total_variation_loss,
)


def discriminator_loss(discriminator: SNPatchDiscriminator, batch: Batch, fake: Tensor) -> Tensor:
    """Hinge loss on real and generated images; ``fake`` comes detached."""
    logits = discriminator(torch.cat([batch.image, fake]), batch.mask.repeat(2, 1, 1, 1))
    real_logits, fake_logits = logits.chunk(2)
    return hinge_discriminator_loss(real_logits, fake_logits)


def generator_terms(
    output: InpaintOutput,
    batch: Batch,
    *,
    discriminator: SNPatchDiscriminator | None,
    features: nn.Module,
    config: Config,
) -> dict[str, Tensor]:
    """The unweighted terms of Eq. 1 by name; without a discriminator (warm-up) the adversarial one is 0.

    Perceptual and style loss compare both the output and its composite with the truth, from one pass over the two and
    one without gradient over the truth. Terms that need the features and have weight 0 are 0 and cost nothing.
    """
    image, mask, weights = batch.image, batch.mask, config.weights
    filled = composite(output.refined, image, mask)
    regions = {"hole_weight": config.hole_weight, "valid_weight": config.valid_weight}
    terms = dict.fromkeys(asdict(weights), image.new_zeros(()))
    if discriminator is not None:
        terms["adversarial"] = hinge_generator_loss(discriminator(filled, mask))
    terms["reconstruction"] = sum(masked_l1_loss(stage, image, mask, **regions) for stage in output[:2])
    terms["total_variation"] = total_variation_loss(filled)
    terms["contrastive"] = info_nce_loss(*split_twins(output.embedding), temperature=config.temperature)

    both = bool(weights.perceptual or weights.style)
    if both or weights.lpips:
        pictures = [x.clamp(-1.05, 1.05) for x in ((filled, output.refined) if both else (filled,))]
        of_pictures, truth = feature_pass(features, pictures, image)
        if both:
            terms["perceptual"] = sum(perceptual_loss(levels, truth) for levels in of_pictures)
            terms["style"] = sum(style_loss(levels, truth) for levels in of_pictures)
        if weights.lpips and isinstance(features, AlexNetFeatures):
            terms["lpips"] = features.distance(of_pictures[0], truth).mean()
    return terms


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move every weight of ``average`` towards that of ``network`` by 1 − decay."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
