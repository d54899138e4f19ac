"""One training step of each network, and the one place where losses are weighed."""

from collections.abc import Mapping

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
    one without gradient over the truth.
    """
    image, mask = batch.image, batch.mask
    filled = composite(output.refined, image, mask)
    count = len(image)
    with torch.no_grad():
        truth = features(image)
    both = features(torch.cat([output.refined.clamp(-1.05, 1.05), filled.clamp(-1.05, 1.05)]))
    of_output, of_filled = [level[:count] for level in both], [level[count:] for level in both]
    reconstruction = [
        masked_l1_loss(stage, image, mask, hole_weight=config.hole_weight) for stage in (output.coarse, output.refined)
    ]
    terms = {
        "adversarial": image.new_zeros(())
        if discriminator is None
        else hinge_generator_loss(discriminator(filled, mask)),
        "reconstruction": reconstruction[0] + reconstruction[1],
        "total_variation": total_variation_loss(filled),
        "contrastive": info_nce_loss(*split_twins(output.embedding), temperature=config.temperature),
        "perceptual": perceptual_loss(of_output, truth) + perceptual_loss(of_filled, truth),
        "style": style_loss(of_output, truth) + style_loss(of_filled, truth),
    }
    terms["lpips"] = (
        features.distance(of_filled, truth).mean()
        if config.weights.lpips and isinstance(features, AlexNetFeatures)
        else image.new_zeros(())
    )
    return terms


def weighted_sum(terms: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Σ weight · term. Every term needs a weight and every weight a term.

    Example:
        >>> weighted_sum({"style": torch.tensor(2.0)}, {"style": 10.0})
        tensor(20.)
    """
    if missing := terms.keys() ^ weights.keys():
        raise ValueError(
            f"terms and weights must have the same names; only in one of them: {', '.join(sorted(missing))}."
        )
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum()


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move every weight of ``average`` towards that of ``network`` by 1 − decay."""
    for mean, value in zip(average.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - decay)
