"""Minimal filtering is a convolution: against PyTorch's own, by hand, and its error against float64."""

import pytest
import torch
import torch.nn.functional as F

from gatedinpaint._minimal_filtering import filter_points, filtered_conv2d


def inputs(size: tuple[int, int] = (13, 18)) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, *size), (4, 3, 3, 3), (4,))
    ]


@pytest.mark.parametrize("dilation", [1, 2, 3, 8])
@pytest.mark.parametrize("padding", [0, 1, 8, 17])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equals_the_convolution_and_its_gradients(dilation: int, padding: int, layout: torch.memory_format) -> None:
    x, weight, bias = inputs((dilation * 4 + 1, dilation * 4 + 6))
    x = x.detach().contiguous(memory_format=layout).requires_grad_()
    got = filtered_conv2d(x, weight, bias, padding=padding, dilation=dilation)
    want = F.conv2d(x, weight, bias, padding=padding, dilation=dilation)
    down = torch.randn_like(want)
    for ours, expected in zip(
        (got, *torch.autograd.grad(got, (x, weight, bias), down)),
        (want, *torch.autograd.grad(want, (x, weight, bias), down)),
        strict=True,
    ):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11 * expected.abs().max().item())
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_by_hand() -> None:
    # One row, kernel (1, 10, 100) across its middle: 220 = 0·1 + 2·10 + 2·100, and so on.
    weight = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    weight[0, 0, 1] = torch.tensor([1.0, 10.0, 100.0])
    x = torch.tensor([[[[2.0, 2.0, 3.0, 3.0]]]], dtype=torch.float64)
    y = filtered_conv2d(x, weight, None, padding=1, dilation=1)
    torch.testing.assert_close(y[0, 0], torch.tensor([[220.0, 322.0, 332.0, 33.0]], dtype=torch.float64))


@pytest.mark.parametrize("dilation", [1, 2])
def test_first_and_second_derivatives(dilation: int) -> None:
    def run(*arguments: torch.Tensor) -> torch.Tensor:
        return filtered_conv2d(*arguments, padding=2, dilation=dilation)

    arguments = inputs((5, 4))
    assert torch.autograd.gradcheck(run, arguments)
    assert torch.autograd.gradgradcheck(run, arguments)


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)])
def test_only_some_gradients(wanted: tuple[int, ...]) -> None:
    arguments = inputs()
    for index, argument in enumerate(arguments):
        argument.requires_grad_(index in wanted)
    chosen = [arguments[index] for index in wanted]
    results = [
        torch.autograd.grad(convolve(*arguments, padding=1, dilation=2).square().sum(), chosen)
        for convolve in (filtered_conv2d, F.conv2d)
    ]
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def test_filters_that_are_there_are_used() -> None:
    x, weight, _ = inputs()
    points = filter_points(weight.detach())
    got = filtered_conv2d(x, weight, None, padding=1, dilation=1, points=2 * points)
    want = 2 * F.conv2d(x, weight, padding=1)
    torch.testing.assert_close(got, want)
    for ours, expected in zip(*(torch.autograd.grad(y.square().sum(), x) for y in (got, want)), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("batch", [1, 3, 40])
@pytest.mark.parametrize("size", [(4, 4), (5, 300), (70, 33)])
def test_parts_of_every_shape(batch: int, size: tuple[int, int]) -> None:
    """Several samples in one part, several parts in one sample."""
    torch.manual_seed(0)
    x, weight = torch.randn(batch, 2, *size, dtype=torch.float64), torch.randn(3, 2, 3, 3, dtype=torch.float64)
    y = filtered_conv2d(x, weight, None, padding=1, dilation=1)
    torch.testing.assert_close(y, F.conv2d(x, weight, padding=1), rtol=0, atol=1e-12)


def test_rounding_in_float32() -> None:
    """A few millionths of the largest."""
    torch.manual_seed(0)
    x, weight = torch.randn(1, 128, 32, 32), torch.randn(64, 128, 3, 3)
    x.requires_grad_()
    weight.requires_grad_()
    down = torch.randn(1, 64, 32, 32)

    def errors(convolve, **options) -> list[float]:  # type: ignore[no-untyped-def]
        y = convolve(x, weight, None, padding=1, dilation=1, **options)
        found = [y, *torch.autograd.grad(y, [x, weight], down)]
        doubles = [tensor.detach().double().requires_grad_() for tensor in (x, weight)]
        z = F.conv2d(*doubles, padding=1)
        exact = [z, *torch.autograd.grad(z, doubles, down.double())]
        return [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, exact, strict=True)]

    ours, plain = errors(filtered_conv2d), errors(F.conv2d)
    assert max(ours) < 4e-6
    assert ours[0] > plain[0]  # or the guide promises too little


def test_a_later_layer_may_change_the_result_in_place() -> None:
    for size in ((8, 8), (9, 8)):
        x, weight, _ = inputs(size)
        filtered_conv2d(x, weight, None, padding=1, dilation=1).relu_().sum().backward()
        assert x.grad is not None
        expected = torch.autograd.grad(F.conv2d(x, weight, padding=1).relu().sum(), x)[0]
        torch.testing.assert_close(x.grad, expected)


def test_only_the_inputs_are_kept_for_the_backward_pass() -> None:
    arguments = inputs()
    kept: list[torch.Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        filtered_conv2d(*arguments, padding=1, dilation=1)
    assert {tensor.data_ptr() for tensor in kept} == {tensor.data_ptr() for tensor in arguments[:2]}
