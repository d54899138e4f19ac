import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from gatedinpaint.losses import StyleLoss, gram_matrix, style_loss

# Two channels of 1×2: (1, 2) and (0, 4); C·H·W = 4.
FEATURES = torch.tensor([[[[1.0, 2.0]], [[0.0, 4.0]]]])


def test_gram_by_hand():
    assert torch.equal(gram_matrix(FEATURES), torch.tensor([[[5.0, 8.0], [8.0, 16.0]]]) / 4)


def test_gram_against_numpy():
    values = np.random.default_rng(0).normal(size=(2, 5, 4, 3))
    expected = np.einsum("bchw,bdhw->bcd", values, values) / (5 * 4 * 3)
    gram = gram_matrix(torch.from_numpy(values))
    np.testing.assert_allclose(gram.numpy(), expected, rtol=1e-12, atol=1e-14)
    assert torch.linalg.eigvalsh(gram).min() > -1e-12


def test_style_by_hand():
    # G of ones is 2/4 everywhere: |1.25 − 0.5|, 2 · |2 − 0.5|, |4 − 0.5|, over C² = 4; and again for the second level.
    once = (0.75 + 2 * 1.5 + 3.5) / 4
    ones = torch.ones_like(FEATURES)
    assert style_loss([FEATURES], [ones]).item() == once
    assert style_loss([FEATURES, FEATURES], [ones, ones]).item() == 2 * once
    assert StyleLoss()([FEATURES], [ones]).item() == once


def test_style_does_not_see_where():
    torch.manual_seed(0)
    features = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    shuffled = features.flatten(2)[:, :, torch.randperm(36)].view_as(features)
    assert style_loss([shuffled], [features]).item() < 1e-15
    assert style_loss([shuffled + 0.1], [features]).item() > 1e-3


def test_gradient_reaches_the_input_and_not_the_target():
    input = FEATURES.clone().requires_grad_()
    target = torch.ones_like(FEATURES).requires_grad_()
    style_loss([input], [target]).backward()
    # Every G_input > G_target: dL/dφ_c = 2 Σ_d φ_d / (4 · 4), the same for both channels.
    torch.testing.assert_close(input.grad, torch.tensor([[[[1.0, 6.0]], [[1.0, 6.0]]]]) / 8)
    assert target.grad is None


def test_gradcheck():
    torch.manual_seed(0)
    features = torch.randn(2, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 3, 3, 2, dtype=torch.float64)
    assert gradcheck(gram_matrix, (features,))
    assert gradcheck(lambda x: style_loss([x], [target]), (features,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_gram_in_half_precision_does_not_overflow(dtype, autocast):
    # 3² · 256² = 589,824 before the division: infinite in float16.
    features = torch.full((1, 64, 256, 256), 3.0, dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", dtype=dtype, enabled=autocast):
        gram = gram_matrix(features)
        loss = style_loss([features], [torch.zeros_like(features)])
    loss.backward()
    assert gram.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(gram, torch.full((1, 64, 64), 9 / 64))
    assert loss.item() == pytest.approx(9 / 64)
    assert features.grad.isfinite().all()
    assert (features.grad > 0).float().mean() > 0.9 or dtype == torch.float16  # 2e-8 is under float16's smallest


def test_gram_in_float32_under_autocast_keeps_its_digits():
    torch.manual_seed(0)
    features = torch.randn(1, 8, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram = gram_matrix(features)
    assert torch.equal(gram, gram_matrix(features))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"features must be \(B, C, H, W\); got \(2, 1, 2\)"):
        gram_matrix(FEATURES[0])
    with pytest.raises(ValueError, match=r"got \(1, 2, 1, 2\) and \(1, 1, 1, 2\) at level 0"):
        style_loss([FEATURES], [FEATURES[:, :1]])
    with pytest.raises(ValueError, match="as many levels, at least one; got 1 and 2"):
        style_loss([FEATURES], [FEATURES, FEATURES])
    with pytest.raises(TypeError, match="input_features must be a list"):
        style_loss(FEATURES, FEATURES)
