import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from gatedinpaint.losses import MaskedL1Loss, masked_l1_loss

# Two channels, 1×4 pixels, the first in the hole; |input − target| = (1, 2, 0, 4) and (3, 0, 0, 2).
INPUT = torch.tensor([[[[1.0, 2.0, 0.0, -4.0]], [[-3.0, 1.0, 1.0, 3.0]]]])
TARGET = torch.tensor([[[[0.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 1.0, 1.0]]]])
MASK = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]]]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (5 * (1 + 3) + (2 + 4 + 2)) / 8),
        ({"hole_weight": 2.0, "valid_weight": 0.5}, (2 * 4 + 0.5 * 8) / 8),
        ({"normalize": "area"}, 5 * 4 / 2 + 8 / 6),
        ({"normalize": "area", "hole_weight": 1.0, "valid_weight": 0.0}, 4 / 2),
    ],
)
def test_by_hand(options, expected):
    assert masked_l1_loss(INPUT, TARGET, MASK, **options).item() == pytest.approx(expected)
    assert torch.equal(MaskedL1Loss(**options)(INPUT, TARGET, MASK), masked_l1_loss(INPUT, TARGET, MASK, **options))


def test_gradient_by_hand():
    input, target, mask = (tensor.clone().requires_grad_() for tensor in (INPUT, TARGET, MASK))
    masked_l1_loss(input, target, mask).backward()
    torch.testing.assert_close(input.grad, torch.tensor([[[[5.0, 1.0, 0.0, -1.0]], [[-5.0, 0.0, 0.0, 1.0]]]]) / 8)
    assert target.grad is None and mask.grad is None


@pytest.mark.parametrize("normalize", [None, "area"])
def test_gradcheck(normalize):
    torch.manual_seed(0)
    input = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    mask = (torch.rand(2, 1, 4, 5) < 0.4).double()
    assert gradcheck(lambda x: masked_l1_loss(x, target, mask, normalize=normalize), (input,))


@given(seed=st.integers(0, 2**31), weight=st.floats(0.0, 100.0))
def test_equal_weights_are_plain_l1(seed, weight):
    generator = torch.Generator().manual_seed(seed)
    input, target = torch.randn(2, 2, 3, 5, 4, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, 5, 4, generator=generator) < 0.5).double()
    loss = masked_l1_loss(input, target, mask, hole_weight=weight, valid_weight=weight)
    torch.testing.assert_close(loss, weight * torch.nn.functional.l1_loss(input, target))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("mask_value", "weights"), [(0.0, {"valid_weight": 0.0}), (1.0, {"hole_weight": 0.0})])
def test_empty_region_is_exactly_zero(mask_value, weights, dtype):
    input = torch.full((1, 3, 4, 4), 2.0, dtype=dtype, requires_grad=True)
    loss = masked_l1_loss(
        input, torch.zeros_like(input), torch.full((1, 1, 4, 4), mask_value), normalize="area", **weights
    )
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(input.grad, torch.zeros_like(input))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("normalize", "expected"), [(None, (5 + 1) / 2 * 2), ("area", (5 + 1) * 2)])
def test_half_precision_sums_in_float32(dtype, normalize, expected):
    # 196,608 elements with |difference| = 2: beyond float16, and far beyond where bfloat16 stops counting.
    input = torch.full((1, 3, 256, 256), 1.0, dtype=dtype, requires_grad=True)
    mask = torch.zeros(1, 1, 256, 256, dtype=dtype)
    mask[..., :128] = 1
    loss = masked_l1_loss(input, -torch.ones_like(input), mask, normalize=normalize)
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected)
    assert input.grad.isfinite().all()
    assert (input.grad > 0).all()


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"mask must be \(B, 1, H, W\) = \(1, 1, 1, 4\).*got \(1, 1, 4\)"):
        masked_l1_loss(INPUT, TARGET, MASK[0])
    with pytest.raises(ValueError, match=r"must have one shape; got \(1, 2, 1, 4\) and \(1, 1, 1, 4\)"):
        masked_l1_loss(INPUT, TARGET[:, :1], MASK)
    with pytest.raises(ValueError, match=r"input must be \(B, C, H, W\); got \(2, 1, 4\)"):
        masked_l1_loss(INPUT[0], TARGET[0], MASK)
    with pytest.raises(TypeError, match=r"mask must be a floating-point tensor; got torch\.bool"):
        masked_l1_loss(INPUT, TARGET, MASK.bool())
    with pytest.raises(ValueError, match="normalize must be None or \"area\"; got 'pixels'"):
        masked_l1_loss(INPUT, TARGET, MASK, normalize="pixels")


def test_repr():
    assert repr(MaskedL1Loss(normalize="area")) == "MaskedL1Loss(hole_weight=5.0, valid_weight=1.0, normalize='area')"
