"""The convolution that pads in autocast's own type."""

import pytest
import torch
from torch import nn

from gatedinpaint._conv2d import Conv2d

MODES = ("zeros", "reflect", "replicate", "circular")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_under_autocast_it_is_torchs_convolution_in_that_type(mode: str, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = Conv2d(4, 6, 3, padding=2, dilation=2, stride=2, groups=2, padding_mode=mode)
    plain = nn.Conv2d(4, 6, 3, padding=2, dilation=2, stride=2, groups=2, padding_mode=mode)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 4, 11, 9)
    with torch.autocast("cpu", kind):
        y, expected = layer(x), plain(x)
    assert y.dtype == expected.dtype == kind
    assert torch.equal(y, expected)


@pytest.mark.parametrize("mode", MODES)
def test_it_pads_without_leaving_the_type(mode: str) -> None:
    layer = Conv2d(4, 6, 3, padding=1, padding_mode=mode)
    x = torch.randn(1, 4, 8, 8, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16), torch.profiler.profile(record_shapes=True) as profile:
        layer(x)
    casts = [event for event in profile.events() if event.name == "aten::_to_copy"]
    assert all(event.input_shapes[0][:1] == [6] for event in casts)  # weight and bias alone, never x (1, 4, …)


def test_without_autocast_it_is_torchs_convolution() -> None:
    layer = Conv2d(4, 6, 3, padding=1, padding_mode="replicate")
    x = torch.randn(1, 4, 8, 8)
    assert torch.equal(layer(x), nn.Conv2d.forward(layer, x))


def test_the_gradient_under_autocast_arrives() -> None:
    layer = Conv2d(4, 6, 3, padding=1, padding_mode="replicate")
    x = torch.randn(1, 4, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    y.float().square().sum().backward()
    reference = x.detach().clone().requires_grad_()
    nn.Conv2d.forward(layer, reference).square().sum().backward()
    assert x.grad is not None and reference.grad is not None
    torch.testing.assert_close(x.grad, reference.grad, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("mode", MODES)
def test_float64_under_autocast_stays_float64(mode: str) -> None:
    layer, x = Conv2d(4, 6, 3, padding=1, padding_mode=mode).double(), torch.randn(1, 4, 8, 8, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert torch.equal(y, nn.Conv2d.forward(layer, x))
