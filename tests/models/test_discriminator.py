import copy

import pytest
import torch

from gatedinpaint import SNPatchDiscriminator


@pytest.mark.parametrize(("size", "patches"), [((256, 256), (4, 4)), ((128, 65), (2, 2)), ((1, 1), (1, 1))])
def test_shape_of_the_logits(size: tuple[int, int], patches: tuple[int, int]) -> None:
    logits = SNPatchDiscriminator(2)(torch.zeros(2, 3, *size), torch.zeros(2, 1, *size))
    assert logits.shape == (2, 16, *patches)


def test_every_layer_has_spectral_norm_one() -> None:
    torch.manual_seed(0)
    discriminator = SNPatchDiscriminator(4)
    image, mask = torch.randn(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    for _ in range(50):  # each forward pass in training is one power iteration
        discriminator(image, mask)
    for layer in discriminator.eval().layers[::2]:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item() == pytest.approx(1.0, abs=0.02)


def test_the_last_layer_is_linear() -> None:
    assert isinstance(SNPatchDiscriminator(2).layers[-1], torch.nn.Conv2d)


def test_a_zero_weight_scores_zero() -> None:
    discriminator = SNPatchDiscriminator(2)
    for parameter in discriminator.parameters():
        torch.nn.init.zeros_(parameter)
    logits = discriminator(torch.ones(1, 3, 64, 64), torch.zeros(1, 1, 64, 64))
    assert torch.equal(logits, torch.zeros_like(logits))


def test_is_copied_before_and_after_training_steps() -> None:
    discriminator = SNPatchDiscriminator(2)
    image, mask = torch.randn(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    discriminator(image, mask).sum().backward()
    twin = copy.deepcopy(discriminator)
    assert torch.equal(twin.eval()(image, mask), discriminator.eval()(image, mask))


def test_sees_the_mask() -> None:
    discriminator, image = SNPatchDiscriminator(2).eval(), torch.randn(1, 3, 64, 64)
    nowhere = torch.zeros(1, 1, 64, 64)
    assert not torch.equal(discriminator(image, nowhere), discriminator(image, 1 - nowhere))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"mask must be \(B, 1, H, W\) = \(1, 1, 64, 64\)"):
        SNPatchDiscriminator(2)(torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_mask_of_another_float_type(dtype: torch.dtype) -> None:
    discriminator, image = SNPatchDiscriminator(2).eval(), torch.randn(1, 3, 64, 64)
    mask = torch.ones(1, 1, 64, 64)
    assert torch.equal(discriminator(image, mask.to(dtype)), discriminator(image, mask))
