import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint import GatedConv2d, GatedUpsample2d, PartialConv2d, SPDResBlock, init_weights

OPTIONS = [
    {},
    {"stride": 2},
    {"dilation": 4},
    {"groups": 2},
    {"bias": False},
    {"padding_mode": "replicate"},
    {"padding": 0},
    {"activation": None},
    {"activation": nn.ELU()},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_two_separate_convolutions(options: dict) -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(4, 6, 3, **options)
    settings = {key: value for key, value in options.items() if key != "activation"}
    settings.setdefault("padding", settings.get("dilation", 1))
    groups = settings.get("groups", 1)
    halves = []
    for half in (0, 1):
        convolution = nn.Conv2d(4, 6, 3, **settings)
        # Group by group: its features, then its gates.
        weights = [group.chunk(2)[half] for group in layer.conv.weight.chunk(groups)]
        convolution.weight.data.copy_(torch.cat(weights))
        if convolution.bias is not None:
            convolution.bias.data.copy_(torch.cat([group.chunk(2)[half] for group in layer.conv.bias.chunk(groups)]))
        halves.append(convolution)
    feature, gate = halves
    x = torch.randn(2, 4, 9, 11)
    activation = options.get("activation", nn.LeakyReLU(0.2)) or nn.Identity()
    torch.testing.assert_close(layer(x), activation(feature(x)) * gate(x).sigmoid(), rtol=0, atol=1e-6)


def test_with_groups_feature_and_gate_see_the_same_channels() -> None:
    layer = GatedConv2d(4, 4, 1, groups=4, activation=None)
    x = torch.randn(1, 4, 1, 1, requires_grad=True)
    for channel in range(4):
        (gradient,) = torch.autograd.grad(layer(x)[0, channel].sum(), x)
        assert gradient.flatten().nonzero().flatten().tolist() == [channel]


def test_by_hand() -> None:
    layer = GatedConv2d(1, 1, 1)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.tensor([2.0, 0.0]).reshape(2, 1, 1, 1))
        layer.conv.bias.copy_(torch.tensor([0.0, 0.0]))
    # The gate is sigmoid(0) = 1/2; leaky_relu(2 · 3) = 6 and leaky_relu(2 · -1) = -0.4.
    assert layer(torch.tensor([3.0, -1.0]).reshape(1, 1, 1, 2)).flatten().tolist() == pytest.approx([3.0, -0.2])


@pytest.mark.parametrize(
    ("kernel_size", "stride", "size"), [(3, 1, 7), (5, 1, 8), (5, 2, 8), (4, 2, 8), (3, 2, 7), (4, 2, 7)]
)
def test_same_padding(kernel_size: int, stride: int, size: int) -> None:
    y = GatedConv2d(2, 3, kernel_size, stride=stride)(torch.randn(1, 2, size, size))
    expected = -(-size // stride) if kernel_size % 2 else size // stride
    assert y.shape == (1, 3, expected, expected)


def test_norm_follows_the_gate() -> None:
    layer = GatedConv2d(2, 3, 3, norm=nn.BatchNorm2d)
    y = layer(torch.randn(4, 2, 8, 8))
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)


def test_gradcheck() -> None:
    layer = GatedConv2d(2, 3, 3).double()
    assert torch.autograd.gradcheck(layer, torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True))


def test_copy_pickle_and_state_dict_keep_the_result() -> None:
    layer, x = GatedConv2d(2, 3, 3), torch.randn(1, 2, 5, 5)
    other = GatedConv2d(2, 3, 3)
    other.load_state_dict(layer.state_dict(), strict=True)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), other):
        assert torch.equal(twin(x), layer(x))


def test_layers_do_not_share_their_activation() -> None:
    assert GatedConv2d(1, 1, 1).activation is not GatedConv2d(1, 1, 1).activation


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((4, 0, 3), {}, "out_channels must be greater than 0; got 0"),
        ((4, 4, 4), {}, "odd kernel at stride 1; got kernel_size=4"),
        ((4, 4, 3), {"dilation": 0}, "dilation must be greater than 0"),
        ((4, 3, 3), {"groups": 2}, "groups must divide in_channels and out_channels; got 2 for 4 and 3"),
    ],
)
def test_bad_arguments(arguments: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GatedConv2d(*arguments, **options)


def test_whole_numbers_of_numpy() -> None:
    numbers = np.array([4, 8, 3, 2, 1])
    in_channels, out_channels, kernel_size, stride, padding = numbers
    x = torch.randn(1, 4, 8, 8)
    assert GatedConv2d(in_channels, out_channels, kernel_size, stride=stride)(x).shape == (1, 8, 4, 4)
    assert GatedConv2d(4, 8, 3, padding=padding)(x).shape == (1, 8, 8, 8)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"x must be \(B, 4, H, W\); got \(1, 3, 8, 8\)"):
        GatedConv2d(4, 4, 3)(torch.randn(1, 3, 8, 8))


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_upsample_equals_interpolate_then_gated_convolution(mode: str) -> None:
    layer, x = GatedUpsample2d(2, 3, mode=mode, scale_factor=3), torch.randn(1, 2, 5, 4)
    align_corners = None if mode == "nearest" else False
    want = layer.gated_conv(F.interpolate(x, size=(15, 12), mode=mode, align_corners=align_corners))
    torch.testing.assert_close(layer(x), want)


def test_upsample_refuses_an_unknown_mode() -> None:
    with pytest.raises(ValueError, match="got 'linear'"):
        GatedUpsample2d(2, 3, mode="linear")


LIGHT = ["low_rank", "depthwise_separable", "single_channel"]


@pytest.mark.parametrize("gate", LIGHT)
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding_mode": "replicate"}, {"dilation": 3}], ids=str)
def test_a_light_gate_by_its_formula(gate: str, options: dict) -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(6, 16, 3, gate=gate, **options).double()
    assert layer.conv.out_channels == 16
    x = torch.randn(2, 6, 9, 11, dtype=torch.float64)
    # The same gate as one dense filter bank (16, 6, 3, 3): what a full gate would hold.
    if gate == "single_channel":
        dense, bias = layer.gate_conv.weight.expand(16, -1, -1, -1), layer.gate_conv.bias.expand(16)
    else:
        spatial, mix = layer.gate_conv
        mixing = mix.weight[:, :, 0, 0]
        # A depthwise filter sees its own channel only.
        filters = spatial.weight if gate == "low_rank" else torch.diag_embed(spatial.weight[:, 0].permute(1, 2, 0))
        if gate == "depthwise_separable":
            filters = filters.permute(2, 3, 0, 1)
        dense, bias = torch.einsum("or,rikl->oikl", mixing, filters), mix.bias
    full = GatedConv2d(6, 16, 3, **options).double()
    full.conv.weight.data.copy_(torch.cat([layer.conv.weight, dense]))
    full.conv.bias.data.copy_(torch.cat([layer.conv.bias, bias]))
    torch.testing.assert_close(layer(x), full(x), rtol=0, atol=1e-12)


def operations(layer: nn.Module, x: torch.Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        layer(x)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("gate", "weights"),
    # in 32, out 64, k 3: the docstring's formulas, worked out.
    [("full", 18_432), ("low_rank", 2_816), ("depthwise_separable", 2_336), ("single_channel", 288)],
)
def test_cost_of_the_gate(gate: str, weights: int) -> None:
    layer, x = GatedConv2d(32, 64, 3, gate=gate, bias=False), torch.randn(1, 32, 5, 7)
    features = 18_432
    assert sum(p.numel() for p in layer.parameters()) == features + weights
    assert operations(layer, x) == 2 * 5 * 7 * (features + weights)


@pytest.mark.parametrize("make", [GatedConv2d, GatedUpsample2d])
def test_a_weight_that_weight_norm_computes(make: type[nn.Module]) -> None:
    """It lies in two tensors, whose product starts as what it was."""
    layer, x = make(4, 8, 3), torch.randn(2, 4, 9, 10)
    expected = layer(x)
    weight_norm(next(part for part in layer.modules() if isinstance(part, nn.Conv2d)))
    found = layer(x)
    torch.testing.assert_close(found, expected)
    assert found.stride() == expected.stride()
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize("gate", ["full", *LIGHT])
def test_bias_groups_and_spectral_norm_reach_every_gate(gate: str) -> None:
    layer = GatedConv2d(4, 8, 3, gate=gate, bias=False, groups=2, spectral_norm=True)
    x = torch.randn(1, 4, 6, 6)
    assert layer(x).shape == (1, 8, 6, 6)
    assert not [name for name, _ in layer.named_parameters() if name.endswith("bias")]
    convolutions = [module for module in layer.modules() if isinstance(module, nn.Conv2d)]
    for _ in range(50):  # the power iteration of a random start
        layer(x)
    for convolution in convolutions:
        sigma = torch.linalg.matrix_norm(convolution.weight.flatten(1), ord=2)
        assert sigma.item() == pytest.approx(1, abs=1e-3)
    init_weights(layer)
    layer(x).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in layer.parameters())


@pytest.mark.parametrize("gate", ["full", *LIGHT])
def test_first_and_second_derivatives(gate: str) -> None:
    layer = GatedConv2d(2, 3, 3, gate=gate, activation=nn.ELU()).double()  # smooth: no kink near a sample
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradgradcheck(layer, x)


@pytest.mark.parametrize("gate", ["full", *LIGHT])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "replicate", "circular"])
def test_y_has_the_layout_of_x(gate: str, layout: torch.memory_format, padding_mode: str) -> None:
    layer = GatedConv2d(4, 8, 3, gate=gate, padding_mode=padding_mode)
    x = torch.randn(2, 4, 6, 5)
    y = layer(x.contiguous(memory_format=layout))
    assert y.is_contiguous(memory_format=layout)
    torch.testing.assert_close(y, layer(x), rtol=0, atol=1e-6)


def test_a_full_gate_keeps_its_keys() -> None:
    assert list(GatedConv2d(2, 3, 3).state_dict()) == ["conv.weight", "conv.bias"]


def test_a_layer_shows_its_own_channels_and_not_those_of_both_filters() -> None:
    gated = [GatedConv2d(4, 8, 3), GatedConv2d(4, 8, 3, gate="low_rank")]
    layers = [*gated, GatedUpsample2d(4, 8), PartialConv2d(4, 8, 3)]
    assert [(layer.in_channels, layer.out_channels) for layer in layers] == 4 * [(4, 8)]
    assert [repr(layer).splitlines()[1].strip() for layer in gated] == ["4, 8, gate='full'", "4, 8, gate='low_rank'"]


def test_unknown_gate() -> None:
    with pytest.raises(ValueError, match=r"gate must be one of \('full', .*'single_channel'\); got 'sigmoid'"):
        GatedConv2d(2, 3, 3, gate="sigmoid")


@pytest.mark.parametrize("layer", [GatedConv2d, PartialConv2d])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel_size": (3, 3)}, TypeError, r"kernel_size must be one whole number; got \(3, 3\)"),
        ({"kernel_size": 3.0}, TypeError, r"kernel_size must be one whole number; got 3\.0"),
        ({"padding": "valid"}, ValueError, r'padding must be a number of pixels, 0 or more, or "same"; got \'valid\''),
        ({"padding": -1}, ValueError, "padding must be a number of pixels, 0 or more, .*; got -1"),
        ({"padding": (1, 1)}, ValueError, r"padding must be a number of pixels, .*; got \(1, 1\)"),
        ({"groups": 0}, ValueError, "groups must be greater than 0; got 0"),
    ],
)
def test_bad_geometry(layer: type, options: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        layer(4, 4, **({"kernel_size": 3} | options))


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (
            lambda: GatedConv2d(4, 4, 3, padding_mode="mirror"),
            ValueError,
            r"padding_mode must be one of \('zeros', .*'mir",
        ),
        (lambda: SPDResBlock(4, padding_mode="mirror"), ValueError, "padding_mode must be one of .*got 'mirror'"),
        (lambda: SPDResBlock(4.0), TypeError, r"channels must be one whole number; got 4\.0"),
        (
            lambda: GatedConv2d(4, 4, 3, norm=nn.BatchNorm2d(4)),
            TypeError,
            r"norm must make a module .*; got BatchNorm2d\(",
        ),
        (
            lambda: GatedConv2d(4, 4, 3, activation=nn.ELU),
            TypeError,
            r"activation must be a module such as nn\.ELU\(\)",
        ),
        (
            lambda: GatedUpsample2d(4, 4, scale_factor=0.01),
            TypeError,
            r"scale_factor must be one whole number; got 0\.01",
        ),
        (lambda: GatedUpsample2d(4, 4, scale_factor=0), ValueError, "scale_factor must be greater than 0; got 0"),
    ],
)
def test_bad_options(build: Callable[[], nn.Module], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize("norm", [nn.InstanceNorm2d, nn.BatchNorm2d])
@pytest.mark.parametrize(
    ("options", "smallest"),
    [({}, 2), ({"stride": 2}, 3), ({"stride": 2, "padding": 0}, 5), ({"dilation": 2, "padding": 0}, 6)],
    ids=str,
)
def test_a_norm_asks_for_more_than_one_value(norm: type[nn.Module], options: dict, smallest: int) -> None:
    layer = GatedConv2d(2, 3, 3, norm=norm, **options)
    shortest = max(1, smallest - layer.geometry.stride)  # what the kernel itself asks for
    layer(torch.randn(1, 2, smallest, shortest))
    more = "" if norm is nn.InstanceNorm2d else ", or come as a batch of two or more,"
    with pytest.raises(
        ValueError, match=f"at least {smallest} pixels high or wide{more} for norm {norm.__name__}: it n"
    ):
        layer(torch.randn(1, 2, smallest - 1, shortest))
    if norm is nn.BatchNorm2d:
        layer(torch.randn(2, 2, smallest - 1, shortest))
        layer.eval()(torch.randn(1, 2, smallest - 1, shortest))


@pytest.mark.parametrize(("padding_mode", "smallest"), [("reflect", 3), ("circular", 2)])
def test_a_border_needs_pixels_to_be_made_of(padding_mode: str, smallest: int) -> None:
    layer = GatedConv2d(2, 3, 5, padding_mode=padding_mode)
    layer(torch.randn(1, 2, smallest, smallest))
    with pytest.raises(ValueError, match=f"x must be at least {smallest} pixels high and wide"):
        layer(torch.randn(1, 2, smallest, smallest - 1))


def test_a_convolution_may_be_wrapped() -> None:
    layer, x = GatedConv2d(4, 8, 3, groups=2), torch.randn(1, 4, 6, 6)
    before = layer(x)
    layer.conv = nn.Sequential(layer.conv)
    assert torch.equal(layer(x), before)


def test_spectral_norm_is_saved_as_a_state_dict_and_not_as_a_pickle() -> None:
    layer, x = GatedConv2d(2, 3, 3, spectral_norm=True).eval(), torch.randn(1, 2, 5, 5)
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(layer)
    other = GatedConv2d(2, 3, 3, spectral_norm=True).eval()
    other.load_state_dict(layer.state_dict(), strict=True)
    assert torch.equal(other(x), layer(x))
    assert torch.equal(copy.deepcopy(layer)(x), layer(x))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("activation", [nn.LeakyReLU(0.3), nn.ELU(), None])
def test_without_a_gradient_the_same_numbers_and_nothing_watched_is_overwritten(
    groups: int, activation: nn.Module | None
) -> None:
    layer, x = GatedConv2d(4, 6, 3, groups=groups, activation=activation), torch.randn(2, 4, 9, 8)
    expected = layer(x).detach()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []  # as it was when the hook saw it, and the same later
    with torch.no_grad():
        assert torch.equal(layer(x), expected)
        for watched in filter(None, (layer.conv, layer.sigmoid, layer.activation)):
            handle = watched.register_forward_hook(
                lambda _module, _inputs, output: seen.append((output.clone(), output))
            )
            assert torch.equal(layer(x), expected)
            handle.remove()
        assert len(seen) == 2 + (activation is not None)
    assert all(torch.equal(then, now) for then, now in seen)


def test_without_a_gradient_one_new_map_and_not_three() -> None:
    layer, x = GatedConv2d(2, 64, 1), torch.randn(1, 2, 64, 64)
    with torch.no_grad(), torch.profiler.profile(profile_memory=True) as profile:
        layer(x)
    of_map = 64 * 64 * 64 * 4
    allocated = sum(max(0, event.self_cpu_memory_usage) for event in profile.key_averages())
    assert 3 * of_map <= allocated < 3.5 * of_map  # the convolution's two and the product


@pytest.mark.parametrize("gate", [nn.Hardsigmoid(), nn.Identity()])
def test_another_gate_function_is_used_with_and_without_a_gradient(gate: nn.Module) -> None:
    layer, x = GatedConv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    layer.sigmoid = gate
    expected = layer(x).detach()
    with torch.no_grad():
        assert torch.equal(layer(x), expected)


def test_hooks_on_all_modules_see_what_nothing_overwrites() -> None:
    layer, x = GatedConv2d(3, 4, 3), torch.randn(1, 3, 8, 8)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    handle = nn.modules.module.register_module_forward_hook(
        lambda _module, _inputs, output: seen.append((output.clone(), output))
    )
    try:
        with torch.no_grad():
            layer(x)
    finally:
        handle.remove()
    assert len(seen) == 4  # convolution, activation, sigmoid, layer
    assert all(torch.equal(then, now) for then, now in seen)


@pytest.mark.parametrize("build", [GatedConv2d, GatedUpsample2d])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.ELU])
def test_an_activation_in_place_trains(build: type[nn.Module], activation: type[nn.Module]) -> None:
    layers = [build(3, 4, 3, activation=activation(inplace=inplace)) for inplace in (True, False)]
    layers[1].load_state_dict(layers[0].state_dict())
    x, gradients = torch.randn(1, 3, 8, 8), []
    for layer in layers:
        layer(x).square().sum().backward()
        gradients.append([parameter.grad for parameter in layer.parameters()])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("layer", [GatedConv2d(3, 4, 3), GatedUpsample2d(3, 4), GatedUpsample2d(3, 4, mode="bilinear")])
def test_under_vmap(layer: nn.Module) -> None:
    x = torch.randn(3, 3, 6, 5)
    torch.testing.assert_close(torch.vmap(layer)(x[:, None])[:, 0], layer(x), rtol=0, atol=1e-6)
