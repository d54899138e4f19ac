"""Convolutions with dilation in channels_last, whose filters get their gradient by products of matrices."""

import pytest
import torch
from torch import nn

from gatedinpaint import _dilated_conv2d, _filtering_choice, minimal_filtering
from gatedinpaint._conv2d import Conv2d
from gatedinpaint._dilated_conv2d import dilated_conv2d


def inputs(batch: int = 2, *, bias: bool = True, dilation: int = 2, padding: int = 2) -> tuple[list, dict]:
    torch.manual_seed(0)
    x = torch.randn(batch, 3, 11, 9, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    tensors = [x, torch.randn(4, 3, 3, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64) if bias else None]
    for tensor in tensors:
        if tensor is not None:
            tensor.requires_grad_()
    return tensors, {"padding": padding, "dilation": dilation}


@pytest.mark.parametrize(
    "options",
    [{}, {"batch": 1}, {"bias": False}, {"padding": 0}, {"padding": 3}, {"dilation": 1}, {"dilation": 4, "padding": 4}],
    ids=str,
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_result_and_gradients_are_those_of_one_convolution(options: dict, memory_format: torch.memory_format) -> None:
    tensors, geometry = inputs(**options)
    wanted = [tensor for tensor in tensors if tensor is not None]
    y, plain = dilated_conv2d(*tensors, **geometry), nn.functional.conv2d(*tensors, **geometry)
    assert torch.equal(y, plain) and y.stride() == plain.stride()
    down = torch.randn_like(y).contiguous(memory_format=memory_format)
    ours, theirs = torch.autograd.grad(y, wanted, down), torch.autograd.grad(plain, wanted, down)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-12)


def test_gradients_of_gradients() -> None:
    tensors, geometry = inputs(1)
    assert torch.autograd.gradgradcheck(lambda *tensors: dilated_conv2d(*tensors, **geometry), tensors)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_only_the_gradients_that_are_wanted(wanted: int) -> None:
    tensors, geometry = inputs()
    for place, tensor in enumerate(tensors):
        tensor.requires_grad_(place == wanted)
    dilated_conv2d(*tensors, **geometry).sum().backward()
    assert [tensor.grad is not None for tensor in tensors] == [place == wanted for place in range(3)]


def by_products(layer: nn.Module, x: torch.Tensor) -> bool:
    """Whether the layer goes this way when it is in training."""
    return type(layer(x).grad_fn).__name__ == "_DilatedConv2dBackward"


@pytest.fixture
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_dilated_conv2d, _filtering_choice):
        monkeypatch.setattr(module, "vectors", lambda: "avx2")


def layer_and_input(channels: int = 16, side: int = 32, **options: object) -> tuple[Conv2d, torch.Tensor]:
    torch.manual_seed(0)
    options = {"padding": options.get("dilation", 8), "dilation": 8, **options}
    x = torch.randn(1, channels, side, side)
    return Conv2d(channels, 32, 3, **options), x.contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("avx2")
def test_taken_in_training_in_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = layer_and_input()
    assert by_products(layer, x)
    assert not by_products(layer, x.contiguous())
    with torch.no_grad():
        assert not by_products(layer, x)
    with minimal_filtering("always"):
        assert not by_products(layer, x)
    with torch.autocast("cpu"):
        assert not by_products(layer, x)
    layer.weight.requires_grad_(False)
    assert not by_products(layer, x)


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"padding_mode": "replicate"}, True),
        ({"dilation": 2}, True),
        ({"dilation": 1}, False),
        ({"channels": 15}, False),
        ({"side": 31}, False),  # half of each product would be zeros and more
        ({"padding": 0}, False),
        ({"stride": 2}, False),
        ({"groups": 2}, False),
    ],
    ids=str,
)
def test_by_shape(options: dict, expected: bool) -> None:
    assert by_products(*layer_and_input(**options)) == expected


@pytest.mark.parametrize("vectors", ["avx512", "wider convolutions"])
def test_not_where_convolutions_are_as_fast(vectors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (_dilated_conv2d, _filtering_choice):
        monkeypatch.setattr(module, "vectors", lambda: vectors)
    assert not by_products(*layer_and_input())


@pytest.mark.usefixtures("avx2")
def test_a_layer_learns_the_same() -> None:
    layer, x = layer_and_input(padding_mode="reflect")
    parameters = [x.requires_grad_(), *layer.parameters()]
    ours = torch.autograd.grad(layer(x).square().sum(), parameters)
    theirs = torch.autograd.grad(nn.Conv2d.forward(layer, x).square().sum(), parameters)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-3)
