import pytest
import torch
from torch.autograd import gradcheck

from gatedinpaint.losses import (
    HingeDiscriminatorLoss,
    HingeGeneratorLoss,
    hinge_discriminator_loss,
    hinge_generator_loss,
)

REAL = torch.tensor([[[[2.0, 0.5]]]])
FAKE = torch.tensor([[[[-3.0, 0.25, -0.5]]]])


def test_discriminator_by_hand():
    # real: (0 + 0.5) / 2 = 0.25; fake: (0 + 1.25 + 0.5) / 3 = 1.75 / 3
    assert hinge_discriminator_loss(REAL, FAKE).item() == pytest.approx(0.25 + 1.75 / 3)


def test_generator_by_hand():
    assert hinge_generator_loss(FAKE).item() == pytest.approx(3.25 / 3)


def test_discriminator_gradient_stops_at_the_margin():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    hinge_discriminator_loss(real, fake).backward()
    torch.testing.assert_close(real.grad, torch.tensor([[[[0.0, -0.5]]]]))
    torch.testing.assert_close(fake.grad, torch.tensor([[[[0.0, 1 / 3, 1 / 3]]]]))


def test_generator_gradient_reaches_every_score():
    fake = FAKE.clone().requires_grad_()
    hinge_generator_loss(fake).backward()
    torch.testing.assert_close(fake.grad, torch.full_like(FAKE, -1 / 3))


def test_gradcheck():
    torch.manual_seed(0)
    real, fake = (torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert gradcheck(hinge_discriminator_loss, (real, fake))
    assert gradcheck(hinge_generator_loss, (fake,))


def test_module_equals_function():
    assert torch.equal(HingeDiscriminatorLoss()(REAL, FAKE), hinge_discriminator_loss(REAL, FAKE))
    assert torch.equal(HingeGeneratorLoss()(FAKE), hinge_generator_loss(FAKE))


def test_half_precision_neither_overflows_nor_stalls():
    # 40,000 scores of −3: their sum, 160,000 with the margin, is beyond float16.
    logits = torch.full((4, 1, 100, 100), -3.0, dtype=torch.float16, requires_grad=True)
    loss = hinge_discriminator_loss(logits, logits)
    assert loss.dtype == torch.float32
    assert loss.item() == 4.0
    assert hinge_generator_loss(logits).item() == 3.0
    # Every real score has the gradient −1/40,000, a subnormal of float16.
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient.float(), torch.full((4, 1, 100, 100), -1 / 40_000), rtol=0, atol=6e-8)


def test_bad_scores():
    with pytest.raises(TypeError, match=r"real_logits must be a floating-point tensor; got torch\.int64"):
        hinge_discriminator_loss(torch.ones(2, dtype=torch.int64), FAKE)
    with pytest.raises(ValueError, match=r"fake_logits must hold at least one score; got shape \(0, 1\)"):
        hinge_discriminator_loss(REAL, torch.ones(0, 1))
    with pytest.raises(ValueError, match="fake_logits must hold at least one score"):
        hinge_generator_loss(torch.ones(0))
