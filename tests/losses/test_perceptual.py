import pytest
import torch
from torch.autograd import gradcheck

from gatedinpaint.losses import PerceptualLoss, perceptual_loss

INPUT = [torch.tensor([[[[1.0, -1.0]]]]), torch.tensor([[[[2.0]], [[0.0]]]])]
TARGET = [torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[0.0]], [[-4.0]]]])]


@pytest.mark.parametrize(("weights", "expected"), [(None, 2.0 + 3.0), ([0.5, 2.0], 1.0 + 6.0), ((0.0, 1.0), 3.0)])
def test_by_hand(weights, expected):
    # level 0: (1 + 3) / 2; level 1: (2 + 4) / 2
    assert perceptual_loss(INPUT, TARGET, weights=weights).item() == expected
    assert PerceptualLoss(weights=weights)(INPUT, TARGET).item() == expected


def test_gradient_reaches_the_input_and_not_the_target():
    input = [level.clone().requires_grad_() for level in INPUT]
    target = [level.clone().requires_grad_() for level in TARGET]
    perceptual_loss(input, target).backward()
    torch.testing.assert_close(input[0].grad, torch.tensor([[[[0.5, -0.5]]]]))
    torch.testing.assert_close(input[1].grad, torch.tensor([[[[0.5]], [[0.5]]]]))
    assert all(level.grad is None for level in target)


def test_gradcheck():
    torch.manual_seed(0)
    maps = [torch.randn(2, 3, size, size, dtype=torch.float64) for size in (4, 2)]
    target = [torch.randn_like(level) for level in maps]
    inputs = tuple(level.requires_grad_() for level in maps)
    assert gradcheck(lambda *levels: perceptual_loss(levels, target, weights=[1.0, 0.3]), inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_sums_in_float32(dtype):
    input = torch.full((1, 64, 128, 128), 2.0, dtype=dtype, requires_grad=True)
    loss = perceptual_loss([input], [-torch.ones_like(input)])
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == 3.0
    assert input.grad.isfinite().all()
    assert (input.grad > 0).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match="as many levels, at least one; got 2 and 1"):
        perceptual_loss(INPUT, TARGET[:1])
    with pytest.raises(ValueError, match="as many levels, at least one; got 0 and 0"):
        perceptual_loss([], [])
    with pytest.raises(ValueError, match=r"got \(1, 2, 1, 1\) and \(1, 1, 1, 2\) at level 1"):
        perceptual_loss(INPUT, [TARGET[0], TARGET[0]])
    with pytest.raises(ValueError, match=r"weights must have one value per level, 2; got 5"):
        perceptual_loss(INPUT, TARGET, weights=[1.0] * 5)
    with pytest.raises(TypeError, match=r"target_features must be a list.*got a Tensor\. Pass \[target_features\]"):
        perceptual_loss(INPUT, TARGET[0])
    with pytest.raises(TypeError, match=r"input_features\[0\] must be a floating-point tensor; got torch\.int64"):
        perceptual_loss([INPUT[0].long()], TARGET[:1])


def test_repr():
    assert repr(PerceptualLoss()) == "PerceptualLoss(weights=None)"
