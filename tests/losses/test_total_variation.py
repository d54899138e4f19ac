import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from gatedinpaint.losses import TotalVariationLoss, total_variation_loss

IMAGE = torch.tensor([[[[0.0, 1.0, 3.0], [2.0, 1.0, 0.0]]]])


@pytest.mark.parametrize(("p", "expected"), [(1, (2 + 0 + 3) / 3 + (1 + 2 + 1 + 1) / 4), (2, 13 / 3 + 7 / 4)])
def test_by_hand(p, expected):
    assert total_variation_loss(IMAGE, p=p).item() == pytest.approx(expected)
    assert torch.equal(TotalVariationLoss(p=p)(IMAGE), total_variation_loss(IMAGE, p=p))


@pytest.mark.parametrize("p", [1, 2])
def test_against_numpy(p):
    pixels = np.random.default_rng(0).normal(size=(2, 3, 7, 9))
    expected = (np.abs(np.diff(pixels, axis=2)) ** p).mean() + (np.abs(np.diff(pixels, axis=3)) ** p).mean()
    assert total_variation_loss(torch.from_numpy(pixels), p=p).item() == pytest.approx(expected, rel=1e-12)


def test_gradient_by_hand():
    image = torch.tensor([[[[0.0, 1.0, 3.0]]]], requires_grad=True)
    total_variation_loss(image).backward()
    torch.testing.assert_close(image.grad, torch.tensor([[[[-0.5, 0.0, 0.5]]]]))


@pytest.mark.parametrize("p", [1, 2])
def test_gradcheck(p):
    torch.manual_seed(0)
    image = torch.randn(2, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda x: total_variation_loss(x, p=p), (image,))


def test_constant_image_is_zero():
    image = torch.full((2, 3, 5, 5), 0.7, requires_grad=True)
    loss = total_variation_loss(image)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(image.grad, torch.zeros_like(image))


@pytest.mark.parametrize(("size", "expected"), [((1, 3), 1.5), ((3, 1), 1.5), ((1, 1), 0.0)])
def test_one_pixel_high_or_wide(size, expected):
    image = torch.tensor([0.0, 1.0, 3.0])[: max(size)].view(1, 1, *size).requires_grad_()
    loss = total_variation_loss(image)
    loss.backward()
    assert loss.item() == expected
    assert image.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype):
    # A checkerboard of −1 and 1: every one of some 390,000 differences is 2.
    signs = torch.tensor([[-1.0, 1.0], [1.0, -1.0]], dtype=dtype)
    image = signs.repeat(128, 128).expand(1, 3, 256, 256).clone().requires_grad_()
    loss = total_variation_loss(image)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == 4.0
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"image must be \(B, C, H, W\); got \(3, 8, 8\).*image\[None\]"):
        total_variation_loss(torch.zeros(3, 8, 8))
    with pytest.raises(TypeError, match=r"image must be a floating-point tensor; got torch\.uint8"):
        total_variation_loss(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"p must be 1 .* or 2 .*; got 3"):
        total_variation_loss(IMAGE, p=3)


def test_repr():
    assert repr(TotalVariationLoss()) == "TotalVariationLoss(p=1)"
