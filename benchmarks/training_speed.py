"""One training step of both networks: ours, the same written plainly, and the form of the released code.

All have the same losses and come to the same gradient of the generator. The plain form is right but repeats work: a
pass of the feature network for each side of each term, two convolutions for each gated one, attention as two products.
The released form besides sends the discriminator's loss back through all of the generator, and lets the discriminator
collect gradients in the generator's turn.
"""

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from benchmarks.gated_speed import written_out
from benchmarks.perceptual_speed import PlainVGG
from benchmarks.timing import Case, Form
from examples.mask_removal.config import paper
from gatedinpaint import (
    InpaintGenerator,
    SelfAttention2d,
    SNPatchDiscriminator,
    VGGFeatures,
    composite,
    hinge_discriminator_loss,
    hinge_generator_loss,
    info_nce_loss,
    masked_l1_loss,
    perceptual_loss,
    style_loss,
    total_variation_loss,
    weighted_sum,
)

if TYPE_CHECKING:
    from examples.mask_removal.data import Batch


def cases(*, quick: bool) -> list[Case]:
    width, size = (2, 32) if quick else (32, 128)
    return [
        Case(
            "training-step",
            f"Training step, width {width}, {size}², 2 images and their twins, VGG-19, all six losses",
            lambda: build(width, size),
            wanted={"plain": 1 / 0.75, "released form": 1 / 0.5},
            tolerance=1e-3,
        )
    ]


class ExplicitAttention(nn.Module):
    """Self-attention as it is written: a matrix of all pairs of places."""

    def __init__(self, attention: SelfAttention2d) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        layers = self.attention
        query, key, value = (layer(x).flatten(2) for layer in (layers.query, layers.key, layers.value))
        weights = (query.transpose(1, 2) @ key).softmax(-1)
        return x + layers.gamma * (value @ weights.transpose(1, 2)).view_as(x)


def build(width: int, size: int) -> dict[str, Form]:
    from torchvision.models import vgg

    from examples.mask_removal.data import Batch

    torch.manual_seed(0)
    generator = InpaintGenerator(width)
    discriminator = SNPatchDiscriminator(width)
    discriminator.eval()  # power iterations would give every form another discriminator
    layers = vgg.make_layers(vgg.cfgs["E"])  # its speed does not depend on what it was trained for
    plain_vgg = PlainVGG(layers)
    our_vgg = VGGFeatures(weights={f"features.{key}": value for key, value in layers.state_dict().items()})
    image, reference = torch.rand(2, 4, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(4, 1, size, size)
    mask[..., size // 2 :, size // 4 : -size // 4] = 1
    batch = Batch(image, mask, reference, torch.ones_like(mask))

    def plain_forms() -> tuple[nn.Module, nn.Module]:
        plain = written_out(generator)
        for parent in list(plain.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, SelfAttention2d):
                    setattr(parent, name, ExplicitAttention(child))
        return plain, copy.deepcopy(discriminator)

    return {
        "plain": _plainly(*plain_forms(), plain_vgg, batch, released=False),
        "released form": _plainly(*plain_forms(), plain_vgg, batch, released=True),
        "ours": _ours(generator, discriminator, our_vgg, batch),
    }


def _ours(generator: nn.Module, discriminator: nn.Module, vgg: nn.Module, batch: "Batch") -> Form:
    from examples.mask_removal.precision import NetworkOptimizer
    from examples.mask_removal.steps import Networks, discriminator_step, generate, generator_step

    config = replace(paper(), precision="fp32")
    # Rate 0: every repetition does the same work on the same weights.
    g_optimizer, d_optimizer = (
        NetworkOptimizer(network, precision="fp32", learning_rate=0.0, betas=config.betas)
        for network in (generator, discriminator)
    )

    def run() -> list[Tensor]:
        output = generate(generator, batch, "fp32")
        fake = composite(output.refined.detach(), batch.image, batch.mask)
        discriminator_step(discriminator, d_optimizer, [batch], [fake], config)
        networks = Networks(generator, discriminator, vgg)
        terms, _ = generator_step(networks, g_optimizer, [batch], output, config, adversarial=True)
        return _seen(generator, weighted_sum(terms, config.to_dict()["weights"]))

    return run


def _plainly(generator: nn.Module, discriminator: nn.Module, vgg: nn.Module, batch: "Batch", *, released: bool) -> Form:
    config = paper()
    image, mask = batch.image, batch.mask
    g_adam, d_adam = (torch.optim.Adam(network.parameters(), 0.0) for network in (generator, discriminator))

    def run() -> list[Tensor]:
        output = generator(*batch)
        filled = composite(output.refined, image, mask)
        fake = filled if released else filled.detach()
        d_adam.zero_grad()
        d_loss = hinge_discriminator_loss(discriminator(image, mask), discriminator(fake, mask))
        d_loss.backward(retain_graph=released)
        d_adam.step()

        g_adam.zero_grad()
        discriminator.requires_grad_(released)
        terms = {
            "adversarial": hinge_generator_loss(discriminator(filled, mask)),
            "reconstruction": masked_l1_loss(output.coarse, image, mask) + masked_l1_loss(output.refined, image, mask),
            "total_variation": total_variation_loss(filled),
            "contrastive": info_nce_loss(*output.embedding.chunk(2), temperature=config.temperature),
            "lpips": torch.zeros(()),
            "lpips_vgg": torch.zeros(()),
        }
        pictures = [x.clamp(-1.05, 1.05) for x in (filled, output.refined)]
        for name, loss in (("perceptual", perceptual_loss), ("style", style_loss)):
            terms[name] = torch.stack([loss(vgg(picture), vgg(image)) for picture in pictures]).sum()
        total = weighted_sum(terms, config.to_dict()["weights"])
        total.backward()
        discriminator.requires_grad_(True)
        g_adam.step()
        return _seen(generator, total.detach())

    return run


def _seen(generator: nn.Module, total: Tensor) -> list[Tensor]:
    """The loss and the length of the gradient, whose parts stand in another order in the plain network."""
    gradients = [parameter.grad.flatten() for parameter in generator.parameters() if parameter.grad is not None]
    return [total, torch.cat(gradients).norm()]
