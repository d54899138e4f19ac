from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from gatedinpaint import CoarseNet, GatedConv2d, SNPatchDiscriminator, SPDResBlock, init_weights


@pytest.mark.parametrize(
    ("method", "gain", "std"),
    [
        ("kaiming", 0.02, (2 / (1.04 * 64 * 9)) ** 0.5),
        ("xavier", 1.0, (2 / (64 * 9 + 128 * 9)) ** 0.5),
        ("normal", 0.02, 0.02),
    ],
)
def test_standard_deviation(method: str, gain: float, std: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 128, 3)
    init_weights(layer, method, gain=gain)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)
    assert layer.bias.abs().max() == 0


def test_orthogonal() -> None:
    layer = nn.Linear(8, 5)
    init_weights(layer, "orthogonal", gain=2.0)
    torch.testing.assert_close(layer.weight @ layer.weight.T, 4 * torch.eye(5), rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("method", ["kaiming", "xavier", "normal", "orthogonal"])
def test_weights_in_half_precision(method: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, twin = nn.Linear(8, 5, dtype=dtype), nn.Linear(8, 5)
    for each in (layer, twin):
        torch.manual_seed(1)
        init_weights(each, method, gain=1.0)
    assert layer.weight.dtype == dtype
    if method == "orthogonal":  # the others draw other numbers in another type
        assert torch.equal(layer.weight, twin.weight.to(dtype))


def test_kaiming_makes_up_for_the_gate() -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(64, 128, 3)
    init_weights(layer)
    feature, gate = layer.conv.weight.chunk(2)
    assert (feature.std() / gate.std()).item() == pytest.approx(3**0.5, rel=0.02)


def test_kaiming_makes_up_for_the_gate_in_every_group() -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(64, 128, 3, groups=2)
    init_weights(layer)
    for group in layer.conv.weight.chunk(2):
        feature, gate = group.chunk(2)
        assert (feature.std() / gate.std()).item() == pytest.approx(3**0.5, rel=0.03)


def test_kaiming_keeps_a_signal_alive_through_the_coarse_net() -> None:
    torch.manual_seed(0)
    network = CoarseNet(8)
    init_weights(network)
    x = torch.randn(2, 4, 64, 64)
    assert 3e-3 < network(x).std() < 1
    for layer in network.modules():  # what plain Kaiming does
        if isinstance(layer, GatedConv2d):
            layer.conv.weight.data.chunk(2)[0].div_(3**0.5)
    assert network(x).std() < 1e-4


def test_kaiming_keeps_residual_blocks_from_growing() -> None:
    torch.manual_seed(0)
    blocks = nn.Sequential(*(SPDResBlock(32) for _ in range(6)))
    init_weights(blocks)
    assert 1 <= blocks(torch.randn(2, 32, 16, 16)).std() < 1.5


def test_reaches_the_weight_under_spectral_norm() -> None:
    network = SNPatchDiscriminator(2)
    init_weights(network, "normal", gain=123.0)
    assert network.layers[0].parametrizations.weight.original.std() > 50


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="got 'he'"):
        init_weights(nn.Linear(2, 2), "he")


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Conv1d(64, 128, 5), 64 * 5),
        (nn.Conv3d(16, 32, 3), 16 * 27),
        (nn.ConvTranspose1d(64, 256, 5), 64 * 5),
        (nn.ConvTranspose2d(32, 128, 3), 32 * 9),
        (nn.ConvTranspose2d(32, 128, 3, groups=4), 8 * 9),
        (nn.ConvTranspose3d(16, 32, 3), 16 * 27),
    ],
    ids=str,
)
def test_every_convolution_by_its_fan_in(layer: nn.Module, fan_in: int) -> None:
    torch.manual_seed(0)
    init_weights(layer)
    assert layer.weight.std().item() == pytest.approx((2 / (1.04 * fan_in)) ** 0.5, rel=0.03)
    assert layer.bias.abs().max() == 0


@pytest.mark.parametrize("groups", [1, 2])
def test_kaiming_keeps_the_variance_through_a_transposed_convolution(groups: int) -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(64, 256, 3, groups=groups, bias=False)
    init_weights(layer)
    x = nn.functional.leaky_relu(torch.randn(4, 64, 16, 16), 0.2) * (2 / 1.04) ** 0.5  # E x² = 1
    inner = layer(x)[..., 2:-2, 2:-2]  # away from the borders, where fewer taps meet
    assert inner.square().mean().item() == pytest.approx(2 / 1.04, rel=0.1)


def test_orthogonal_transposed_convolution_has_orthogonal_filters() -> None:
    layer = nn.ConvTranspose2d(16, 8, 3)
    init_weights(layer, "orthogonal", gain=1.0)
    filters = layer.weight.transpose(0, 1).flatten(1)
    torch.testing.assert_close(filters @ filters.T, torch.eye(8), rtol=0, atol=1e-5)


def test_a_gated_layer_whose_convolution_was_replaced() -> None:
    network = nn.Sequential(GatedConv2d(2, 3, 3))
    network[0].conv = nn.Sequential(network[0].conv)
    before = network[0].conv[0].weight.clone()
    with pytest.raises(ValueError, match="feature and gate cannot be told apart in 0: a Sequential"):
        init_weights(network)
    assert torch.equal(network[0].conv[0].weight, before)
    init_weights(network, "normal")


@pytest.mark.parametrize("change", [weight_norm, partial(prune.random_unstructured, name="weight", amount=0.5)])
def test_a_weight_that_is_no_parameter_is_refused_before_anything_is_changed(
    change: Callable[[nn.Module], None],
) -> None:
    network = nn.Sequential(nn.Linear(4, 4), GatedConv2d(4, 4, 3))
    change(network[1].conv)
    before = network[0].weight.clone()
    with pytest.raises(ValueError, match="weight of a .*Conv2d is computed from .* Initialise the layer before"):
        init_weights(network)
    assert torch.equal(network[0].weight, before)
