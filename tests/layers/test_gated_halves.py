import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from gatedinpaint import GatedConv2d
from gatedinpaint.layers._gated_halves import gated_halves

SLOPES = (0.0, 0.2, 1.0)


def formula(y: Tensor, slope: float) -> Tensor:
    feature, gate = y.chunk(2, dim=1)
    return F.leaky_relu(feature, slope) * gate.sigmoid()


def maps(layout: torch.memory_format, dtype: torch.dtype = torch.float32) -> Tensor:
    y = torch.randn(2, 6, 5, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    return y.contiguous(memory_format=layout).requires_grad_()


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_result_and_gradient_are_those_of_the_formula(slope: float, layout: torch.memory_format) -> None:
    plain, last = (torch.randn(2, 3, 5, 7).contiguous(memory_format=x) for x in (layout, torch.channels_last))
    results = []
    for function in (gated_halves, formula):
        y = maps(layout)
        out = function(y * 1, slope)
        gradients = [torch.autograd.grad(out, y, gradient, retain_graph=True)[0] for gradient in (plain, last, plain)]
        results.append((out.detach(), *gradients))
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)
    assert results[0][0].stride() == results[1][0].stride()


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradcheck_also_of_the_gradient(slope: float, layout: torch.memory_format) -> None:
    y = maps(layout, torch.float64)
    assert gradcheck(lambda y: gated_halves(y * 1, slope), y)
    assert gradgradcheck(lambda y: gated_halves(y * 1, slope), y)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_off_by_less_than_its_last_digit(dtype: torch.dtype) -> None:
    y = maps(torch.contiguous_format, dtype)
    exact = y.detach().double().requires_grad_()
    out, wanted = gated_halves(y * 1, 0.2), formula(exact * 1, 0.2)
    (gradient,), (wanted_gradient,) = (torch.autograd.grad(z.sum(), x) for z, x in ((out, y), (wanted, exact)))
    for got, right in ((out, wanted), (gradient, wanted_gradient)):
        assert got.dtype is dtype
        assert (got.double() - right).abs().max() <= torch.finfo(dtype).eps * right.abs().max()


@pytest.mark.parametrize("activation", [None, nn.LeakyReLU(0.1)])
def test_a_layer_in_training_keeps_its_input_its_weight_and_one_map(activation: nn.Module | None) -> None:
    layer = GatedConv2d(8, 16, 3, activation=activation)
    x = torch.randn(1, 8, 12, 12, requires_grad=True)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = layer(x)
    assert sum(kept.values()) == x.nbytes + layer.conv.weight.nbytes + 2 * result.nbytes


def test_an_activation_that_turns_signs_round_is_called() -> None:
    layer = GatedConv2d(3, 4, 3, activation=nn.LeakyReLU(-0.5))
    x = torch.randn(1, 3, 8, 8)
    feature, gate = layer.conv(x).chunk(2, dim=1)
    wanted = torch.autograd.grad((F.leaky_relu(feature, -0.5) * gate.sigmoid()).sum(), layer.conv.weight)[0]
    torch.testing.assert_close(torch.autograd.grad(layer(x).sum(), layer.conv.weight)[0], wanted)
