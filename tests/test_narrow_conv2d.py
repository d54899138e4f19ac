"""Convolutions to a few channels, which go by rows of their filters."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint._conv2d import Conv2d


def by_rows(layer: nn.Module, x: torch.Tensor) -> bool:
    """Whether the layer's convolution has more channels than its filters."""
    with FlopCounterMode(display=False) as counter:
        layer(x)
    with FlopCounterMode(display=False) as plain:
        nn.Conv2d.forward(layer, x)
    return counter.get_total_flops() != plain.get_total_flops()


def layer_and_input(
    in_channels: int = 16, out_channels: int = 3, size: int = 7, **options: object
) -> tuple[Conv2d, torch.Tensor]:
    torch.manual_seed(0)
    options = {"padding": size // 2, **options}
    return Conv2d(in_channels, out_channels, size, **options), torch.randn(2, in_channels, 17, 20)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"padding": 0},
        {"padding": 5},
        {"padding_mode": "replicate"},
        {"size": 3},
        {"size": 4},
        {"out_channels": 1},
        {"out_channels": 4, "in_channels": 40},
    ],
    ids=str,
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_the_result_and_its_layout_are_those_of_one_convolution(
    options: dict, memory_format: torch.memory_format
) -> None:
    layer, x = layer_and_input(**options)
    x = x.contiguous(memory_format=memory_format)
    assert by_rows(layer, x)
    y, plain = layer(x), nn.Conv2d.forward(layer, x)
    torch.testing.assert_close(y, plain, rtol=0, atol=1e-5)
    assert y.is_contiguous(memory_format=memory_format) and plain.is_contiguous(memory_format=memory_format)


def test_gradients_are_those_of_one_convolution() -> None:
    layer, x = layer_and_input()
    x.requires_grad_()
    down = torch.randn(2, 3, 17, 20)
    ours = torch.autograd.grad(layer(x), [x, *layer.parameters()], down)
    theirs = torch.autograd.grad(nn.Conv2d.forward(layer, x), [x, *layer.parameters()], down)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"out_channels": 5}, {"in_channels": 15}, {"size": 1}, {"stride": 2}, {"dilation": 2}],
    ids=str,
)
def test_other_shapes_go_the_plain_way(options: dict) -> None:
    layer, x = layer_and_input(**options)
    assert not by_rows(layer, x)


def test_what_is_smaller_than_the_filter_is_an_error_as_ever() -> None:
    layer, _ = layer_and_input(padding=1)
    for run in (layer, layer.without_border):
        with pytest.raises(RuntimeError, match="Kernel size"):
            run(torch.randn(1, 16, 4, 20))
    with pytest.raises(RuntimeError, match="Kernel size"):
        layer.without_border(torch.randn(1, 16, 6, 20))


def test_a_compiled_graph_holds_one_convolution() -> None:
    layer, x = layer_and_input()
    graph = torch.export.export(layer.eval(), (x,)).graph
    assert [node.target for node in graph.nodes if node.op == "call_function"] == [torch.ops.aten.conv2d.default]
