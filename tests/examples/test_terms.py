"""Every term compares what it should with what it should: values worked out by hand, and where the gradient goes."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal.config import Config, LossWeights
from examples.mask_removal.data import Batch
from examples.mask_removal.terms import adversarial_term, discriminator_loss, feature_terms, pixel_terms
from gatedinpaint import InpaintOutput, VGGFeatures, composite, perceptual_loss, style_loss

CONFIG = Config(base_channels=2, weights=LossWeights(contrastive=0.0))


class Score(nn.Module):
    """A discriminator that says the mean of what it sees, times 10."""

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return 10 * image.mean((1, 2, 3), keepdim=True)


def flat(image: float, coarse: float, refined: float) -> tuple[InpaintOutput, Batch]:
    """Pictures of one value each; a quarter of them is hole."""

    def picture(value: float, channels: int = 3) -> Tensor:
        return torch.full((2, channels, 16, 16), value, dtype=torch.float64)

    mask = picture(0.0, 1)
    mask[:, :, :8, :8] = 1
    embedding = torch.zeros(2, 32, dtype=torch.float64)
    output = InpaintOutput(picture(coarse).requires_grad_(), picture(refined).requires_grad_(), embedding)
    return output, Batch(picture(image), mask, picture(0.0), picture(0.0, 1))


def test_the_discriminator_learns_that_images_are_real() -> None:
    _, batch = flat(image=0.5, coarse=0.0, refined=0.0)
    # It is sure of both: +5 for the images, −5 for the fakes. The other way round the hinge would be 6 + 6.
    assert discriminator_loss(Score(), batch, -batch.image, CONFIG).item() == 0
    assert discriminator_loss(Score(), Batch(-batch.image, *batch[1:]), batch.image, CONFIG).item() == 12


def test_the_generator_is_judged_by_its_composite() -> None:
    output, batch = flat(image=0.25, coarse=0.0, refined=-0.5)
    term = adversarial_term(output, batch, Score(), CONFIG)["adversarial"]
    assert term.item() == pytest.approx(-10 * (0.75 * 0.25 - 0.25 * 0.5))
    (gradient,) = torch.autograd.grad(term, output.refined)
    assert torch.equal(gradient != 0, batch.mask.expand_as(gradient) > 0)


def test_both_stages_are_reconstructed_and_the_composite_is_smooth() -> None:
    output, batch = flat(image=0.0, coarse=0.5, refined=-0.25)
    config = replace(CONFIG, hole_weight=4.0, valid_weight=2.0)
    terms = pixel_terms(output, batch, config)
    assert terms["reconstruction"].item() == pytest.approx((0.25 * 4 + 0.75 * 2) * (0.5 + 0.25))
    # The step at the hole's border: 8 of the 15 · 16 differences along each axis.
    assert terms["total_variation"].item() == pytest.approx(2 * 0.25 * 8 / (15 * 16))


def test_features_of_the_output_and_of_its_composite_are_compared_with_those_of_the_truth() -> None:
    """Also where the network looks at no more of the composite than the hole can reach."""
    generator = torch.Generator().manual_seed(0)
    image, refined = torch.rand(2, 2, 3, 32, 32, generator=generator, dtype=torch.float64) * 2 - 1
    mask = torch.zeros(2, 1, 32, 32, dtype=torch.float64)
    mask[:, :, 10:16, 12:20] = 1
    refined.requires_grad_()
    output, batch = InpaintOutput(image, refined, image), Batch(image, mask, image, mask)
    vgg = VGGFeatures("vgg16", weights=seeded_vgg16()).double()
    terms = feature_terms(output, batch, vgg, CONFIG)
    truth, filled = vgg(image), composite(refined, image, mask)
    for name, loss in (("perceptual", perceptual_loss), ("style", style_loss)):
        expected = loss(vgg(filled), truth) + loss(vgg(refined), truth)
        torch.testing.assert_close(terms[name], expected, rtol=1e-9, atol=0)
        mine, theirs = (torch.autograd.grad(x, refined, retain_graph=True)[0] for x in (terms[name], expected))
        torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-12)


def seeded_vgg16() -> dict[str, Tensor]:
    """He's scale keeps every level alive."""
    generator, inputs, state = torch.Generator().manual_seed(0), 3, {}
    for index, outputs in zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24), WIDTHS, strict=True):
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        state |= {f"features.{index}.weight": weight, f"features.{index}.bias": torch.zeros(outputs)}
        inputs = outputs
    return state


WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512)


def test_terms_of_weight_0_cost_nothing() -> None:
    class Never(nn.Module):
        def forward(self, image: Tensor) -> list[Tensor]:
            raise AssertionError("evaluated for nothing")

    output, batch = flat(image=0.0, coarse=0.5, refined=0.5)
    without = replace(CONFIG, weights=LossWeights(contrastive=0.0, perceptual=0.0, style=0.0))
    assert feature_terms(output, batch, Never(), without) == {}
    assert set(pixel_terms(output, batch, without)) == {"reconstruction", "total_variation"}


def test_the_contrastive_term_knows_who_is_whose_twin() -> None:
    output, batch = flat(image=0.0, coarse=0.0, refined=0.0)
    config = replace(CONFIG, weights=LossWeights(contrastive=1.0), temperature=1.0)
    doubled = Batch(*(torch.cat([x, x]) for x in batch))
    pictures = [torch.cat([x, x]) for x in output[:2]]
    # Images first, then their twins in the same order.
    right = InpaintOutput(*pictures, torch.eye(2, dtype=torch.float64).repeat(2, 1))
    wrong = InpaintOutput(*pictures, torch.cat([torch.eye(2), torch.eye(2).flip(0)]).double())
    near, far = (pixel_terms(x, doubled, config)["contrastive"] for x in (right, wrong))
    expected = F.softplus(torch.tensor([-1.0, 1.0])).tolist()  # log(1 + e⁻¹) and log(1 + e)
    assert [near.item(), far.item()] == pytest.approx(expected, rel=1e-6)
