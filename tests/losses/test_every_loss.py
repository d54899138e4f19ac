"""What holds for all losses alike."""

import inspect

import pytest
import torch

from gatedinpaint import losses

TWINS = {
    "hinge_discriminator_loss": "HingeDiscriminatorLoss",
    "hinge_generator_loss": "HingeGeneratorLoss",
    "info_nce_loss": "InfoNCELoss",
    "masked_l1_loss": "MaskedL1Loss",
    "perceptual_loss": "PerceptualLoss",
    "style_loss": "StyleLoss",
    "total_variation_loss": "TotalVariationLoss",
}


def arguments(name, dtype=torch.float32):
    """What the loss measures, requiring a gradient first."""
    generator = torch.Generator().manual_seed(0)
    image, target = torch.randn(2, 2, 3, 8, 8, generator=generator).to(dtype)
    image.requires_grad_()
    if name in ("perceptual_loss", "style_loss"):
        return [image], [target]
    if name == "info_nce_loss":
        return image.flatten(1), target.flatten(1)
    if name == "masked_l1_loss":
        mask = torch.zeros(2, 1, 8, 8)
        mask[..., :3] = 1
        return image, target, mask
    return (image, target) if name == "hinge_discriminator_loss" else (image,)


def leaf(values):
    return values[0][0] if isinstance(values[0], list) else values[0]


def options_of(function):
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.kind == parameter.KEYWORD_ONLY}


def test_every_loss_has_a_module_with_its_options():
    assert sorted(TWINS) == sorted(name for name in losses.__all__ if name.endswith("_loss"))
    for name, twin in TWINS.items():
        options, own = options_of(getattr(losses, name)), options_of(getattr(losses, twin))
        options.pop("negatives", None)  # data, not an option: they come with each call
        assert own == options, name


@pytest.mark.parametrize("name", TWINS)
def test_module_equals_function(name):
    values = arguments(name)
    assert torch.equal(getattr(losses, TWINS[name])()(*values), getattr(losses, name)(*values))


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_changes_nothing(name, dtype):
    values = arguments(name)
    loss = getattr(losses, name)
    with torch.autocast("cpu", dtype=dtype):
        inside = loss(*values)
    assert torch.equal(inside, loss(*values))


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_every_precision_comes_out_as_float32_or_wider_and_reaches_the_input(name, dtype):
    values = arguments(name, dtype)
    loss = getattr(losses, name)(*values)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    wide = getattr(losses, name)(*arguments(name))
    assert loss.item() == pytest.approx(wide.item(), rel=0.02, abs=0.01)
    (gradient,) = torch.autograd.grad(loss, leaf(values))
    assert gradient.dtype == dtype
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
