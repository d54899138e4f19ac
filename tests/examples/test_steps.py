import copy
from dataclasses import replace
from types import SimpleNamespace

import lpips
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from examples.mask_removal.config import Config, LossWeights
from examples.mask_removal.data import Batch
from examples.mask_removal.perceptual_networks import LPIPSFeatures
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.steps import Networks, discriminator_step, generate, generator_step, generator_terms
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, composite

# Without the contrastive term, whose negatives are those of one part.
CONFIG = Config(base_channels=2, discriminator_channels=2, weights=LossWeights(contrastive=0.0, style=1.0))


class Pyramid(nn.Module):
    """Features that need no weights."""

    def forward(self, image: Tensor) -> list[Tensor]:
        return [image, F.avg_pool2d(image, 2)]


def batch(count: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    image, reference = torch.rand(2, count, 3, 32, 32, dtype=torch.float64, generator=generator) * 2 - 1
    mask = torch.zeros(count, 1, 32, 32, dtype=torch.float64)
    mask[..., 16:, 8:-8] = 1
    return Batch(image, mask, reference, torch.ones_like(mask))


def networks() -> Networks:
    torch.manual_seed(0)
    return Networks(InpaintGenerator(2).double(), SNPatchDiscriminator(2).double(), Pyramid())


def optimizer(network: nn.Module) -> NetworkOptimizer:
    return NetworkOptimizer(network, precision="fp32", learning_rate=1e-3, betas=(0.5, 0.999))


def gradients(network: nn.Module) -> Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters()])


def test_parts_add_up_to_the_whole() -> None:
    results = []
    for count in (1, 2, 3):
        nets = networks()
        size = 12 // count
        parts = [Batch(*(x[index * size :][:size] for x in batch(12))) for index in range(count)]
        terms, taken = generator_step(nets, optimizer(nets.generator), parts, None, CONFIG, adversarial=False)
        assert taken
        results.append((gradients(nets.generator), terms))
    for gradient, terms in results[1:]:
        torch.testing.assert_close(gradient, results[0][0], rtol=1e-10, atol=1e-12)
        for name, term in terms.items():
            if name != "contrastive":
                torch.testing.assert_close(term, results[0][1][name], rtol=1e-10, atol=1e-12, msg=name)


def test_parts_of_the_discriminator_add_up_to_the_whole() -> None:
    whole, results = batch(12), []
    fake = torch.rand(12, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for count in (1, 2, 3):
        # In evaluation mode: in training each part moves the spectral norm's vectors on.
        discriminator = networks().discriminator.eval()
        parts = [Batch(*(x.chunk(count)[index] for x in whole)) for index in range(count)]
        loss = discriminator_step(discriminator, optimizer(discriminator), parts, fake.chunk(count), CONFIG)
        results.append((loss, gradients(discriminator)))
    for loss, gradient in results[1:]:
        torch.testing.assert_close(loss, results[0][0], rtol=1e-10, atol=0)
        torch.testing.assert_close(gradient, results[0][1], rtol=1e-10, atol=1e-12)


def test_the_generators_turn_leaves_no_gradient_in_the_discriminator() -> None:
    nets = networks()
    before = copy.deepcopy(nets.discriminator)
    output = generate(nets.generator, batch(4), "fp32")
    generator_step(nets, optimizer(nets.generator), [batch(4)], output, CONFIG, adversarial=True)
    for (name, parameter), old in zip(nets.discriminator.named_parameters(), before.parameters(), strict=True):
        assert parameter.grad is None and parameter.requires_grad, name
        assert torch.equal(parameter, old), name


def test_the_discriminators_turn_moves_the_discriminator_alone() -> None:
    nets = networks()
    output = generate(nets.generator, batch(4), "fp32")
    fake = composite(output.refined.detach(), batch(4).image, batch(4).mask)
    before = copy.deepcopy(nets.discriminator)
    loss = discriminator_step(nets.discriminator, optimizer(nets.discriminator), [batch(4)], [fake], CONFIG)
    assert loss.item() == pytest.approx(2.0, abs=0.6)  # the hinge of scores near 0
    assert all(parameter.grad is None for parameter in nets.generator.parameters())
    # Not the last bias: real and generated images pull it equally strongly.
    pairs = list(zip(nets.discriminator.parameters(), before.parameters(), strict=True))
    assert not any(torch.equal(new, old) for new, old in pairs if new.ndim > 1)


def test_area_normalisation_is_that_of_the_configuration() -> None:
    """A hole of a quarter of the frame counts four times as much when it is divided by its own size."""
    terms = []
    for area_normalized in (False, True):
        nets = networks()
        config = replace(CONFIG, area_normalized=area_normalized, hole_weight=1.0, valid_weight=0.0)
        step = generator_step(nets, optimizer(nets.generator), [batch(4)], None, config, adversarial=False)
        terms.append(step[0]["reconstruction"])
    torch.testing.assert_close(terms[1], 4 * terms[0], rtol=1e-12, atol=0)


def test_the_lpips_over_vgg_is_that_of_every_second_image(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = SimpleNamespace(features=torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"]))
    monkeypatch.setattr(lpips.pretrained_networks.tv, "vgg16", lambda pretrained: layers)
    vgg, nets, some = LPIPSFeatures("vgg").double(), networks(), batch(8)
    output = generate(nets.generator, some, "fp32")
    terms = generator_terms(output, some, discriminator=None, features=nets.features, config=CONFIG, vgg=vgg)
    filled = composite(output.refined, some.image, some.mask).clamp(-1.05, 1.05)
    expected = vgg.lpips(filled[::2], some.image[::2]).mean()
    torch.testing.assert_close(terms["lpips_vgg"], expected, rtol=1e-6, atol=0)
    (gradient,) = torch.autograd.grad(terms["lpips_vgg"], output.refined)
    assert [bool(image.any()) for image in gradient] == [True, False] * 4
