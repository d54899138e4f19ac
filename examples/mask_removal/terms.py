"""What the two networks are trained by: the terms of their losses, unweighted."""

from dataclasses import asdict

import torch
from torch import Tensor, nn

from examples.mask_removal.config import Config
from examples.mask_removal.data import Batch
from examples.mask_removal.perceptual_networks import AlexNetFeatures, LPIPSFeatures
from examples.mask_removal.precision import autocast
from examples.mask_removal.twin import split_twins
from examples.mask_removal.window import around_hole
from gatedinpaint import (
    InpaintOutput,
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


def discriminator_loss(discriminator: nn.Module, batch: Batch, fake: Tensor, config: Config) -> Tensor:
    """Hinge loss on real and generated images, in one pass over both; ``fake`` comes detached."""
    image, fake, mask = around_hole(batch.mask, (batch.image, fake, batch.mask), config.window)
    with autocast(config.precision, fake.device):
        logits = discriminator(torch.cat([image, fake]), mask.repeat(2, 1, 1, 1))
    real_logits, fake_logits = logits.chunk(2)
    return hinge_discriminator_loss(real_logits, fake_logits)


def generator_terms(
    output: InpaintOutput,
    batch: Batch,
    *,
    discriminator: nn.Module | None,
    features: nn.Module,
    config: Config,
    vgg: LPIPSFeatures | None = None,
) -> dict[str, Tensor]:
    """The unweighted terms of Eq. 1 by name; without a discriminator (warm-up) the adversarial one is 0."""
    terms = dict.fromkeys(asdict(config.weights), batch.image.new_zeros(()))
    if discriminator is not None:
        terms |= adversarial_term(output, batch, discriminator, config)
    terms |= pixel_terms(output, batch, config) | feature_terms(output, batch, features, config)
    return terms if vgg is None else terms | vgg_term(output, batch, vgg, config)


def adversarial_term(
    output: InpaintOutput, batch: Batch, discriminator: nn.Module, config: Config
) -> dict[str, Tensor]:
    """What the discriminator thinks of the composite."""
    filled = composite(output.refined, batch.image, batch.mask)
    filled, mask = around_hole(batch.mask, (filled, batch.mask), config.window)
    with autocast(config.precision, filled.device):
        logits = discriminator(filled, mask)
    return {"adversarial": hinge_generator_loss(logits)}


def pixel_terms(output: InpaintOutput, batch: Batch, config: Config) -> dict[str, Tensor]:
    """The terms that need no other network."""
    regions = {"hole_weight": config.hole_weight, "valid_weight": config.valid_weight}
    normalize = "area" if config.area_normalized else None
    terms = {
        "reconstruction": sum(
            masked_l1_loss(stage, batch.image, batch.mask, **regions, normalize=normalize) for stage in output[:2]
        ),
        "total_variation": total_variation_loss(composite(output.refined, batch.image, batch.mask)),
    }
    if config.weights.contrastive:
        embeddings = split_twins(output.embedding)
        terms["contrastive"] = info_nce_loss(*embeddings, temperature=config.temperature, gather=True)
    return terms


def feature_terms(output: InpaintOutput, batch: Batch, features: nn.Module, config: Config) -> dict[str, Tensor]:
    """Perceptual, style and LPIPS terms; those of weight 0 are left out and cost nothing.

    Perceptual and style loss compare both the output and its composite with the truth, from one pass over each; that of
    the truth without gradient, that of the composite only as far as the hole reaches.
    """
    weights = config.weights
    if not config.needs_features:
        return {}
    both = bool(weights.perceptual or weights.style)
    filled = composite(output.refined, batch.image, batch.mask)
    pictures = [x.clamp(-1.05, 1.05) for x in ((filled, output.refined) if both else (filled,))]
    *pictures, image, mask = around_hole(batch.mask, (*pictures, batch.image, batch.mask), config.window)
    with autocast(config.precision, filled.device):  # the composite is the truth outside of the hole
        of_pictures, truth = feature_pass(features, pictures, image, masks=[mask, None][: len(pictures)])
    terms = {}
    if both:
        terms["perceptual"] = sum(perceptual_loss(levels, truth) for levels in of_pictures)
        terms["style"] = sum(style_loss(levels, truth) for levels in of_pictures)
    if weights.lpips and isinstance(features, AlexNetFeatures):
        terms["lpips"] = features.distance(of_pictures[0], truth).mean()
    return terms


def vgg_term(output: InpaintOutput, batch: Batch, vgg: LPIPSFeatures, config: Config) -> dict[str, Tensor]:
    """LPIPS over VGG-16, the mean over every second image of the batch: it is the dearest of all by the image."""
    refined, image, mask = (x[::2] for x in (output.refined, batch.image, batch.mask))
    filled = composite(refined, image, mask).clamp(-1.05, 1.05)
    filled, image, mask = around_hole(mask, (filled, image, mask), config.window)
    with autocast(config.precision, filled.device):
        of_pictures, truth = feature_pass(vgg, [filled], image, masks=[mask])
    return {"lpips_vgg": vgg.distance(of_pictures[0], truth).mean()}
