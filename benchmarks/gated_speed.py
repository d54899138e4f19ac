"""Gated layers and the generator against the same network of two convolutions, one after the other, per gated layer;
and its last layer, to the three channels of an image, against PyTorch's."""

import copy
import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import Case, Form
from gatedinpaint import GatedConv2d, GatedUpsample2d, InpaintGenerator, RefineNet, SPDResBlock, optimize_for_inference

SPD_8 = (1, 2, 3, 4, 5, 6, 8, 10)


class TwoConvolutions(nn.Module):
    """The formula as it is written: one convolution for the feature, another for the gate."""

    def __init__(self, fused: GatedConv2d) -> None:
        super().__init__()
        self.feature, self.gate = copy.deepcopy(fused.conv), copy.deepcopy(fused.conv)
        for part, convolution in enumerate((self.feature, self.gate)):
            convolution.__class__ = nn.Conv2d  # as PyTorch computes it
            convolution.out_channels //= 2
            for name, parameter in fused.conv.named_parameters():
                setattr(convolution, name, nn.Parameter(parameter.detach().chunk(2)[part].clone()))
        self.activation = copy.deepcopy(fused.activation)

    def forward(self, x: Tensor) -> Tensor:
        feature = self.feature(x)
        return (feature if self.activation is None else self.activation(feature)) * self.gate(x).sigmoid()


def written_out(module: nn.Module) -> nn.Module:
    """A copy of plain convolutions, two for every gated one, in which every enlargement is made beforehand."""
    if isinstance(module, GatedConv2d):
        return TwoConvolutions(module)
    if isinstance(module, GatedUpsample2d):
        return nn.Sequential(nn.Upsample(scale_factor=module.scale_factor), TwoConvolutions(module.gated_conv))
    module = copy.deepcopy(module)
    if isinstance(module, nn.Conv2d):
        module.__class__ = nn.Conv2d
    for name, child in module.named_children():
        setattr(module, name, written_out(child))
    if isinstance(module, SPDResBlock):  # it asks its layers for their channels
        module.forward = lambda x: x + module.fuse(torch.cat([branch(x) for branch in module.branches], dim=1))
    return module


def cases(*, quick: bool) -> list[Case]:
    size, channels, width = (12, 16, 2) if quick else (64, 128, 32)
    side = 16 * (2 if quick else 16)
    layers: dict[str, tuple[str, Callable[[], nn.Module], dict[bool, float]]] = {
        "gated": (
            f"GatedConv2d {channels}→{channels}, {size}², dilation 4",
            lambda: GatedConv2d(channels, channels, 3, dilation=4),
            {False: 1.4, True: 1.0},
        ),
        "spd": (
            f"SPD-8 block, {channels} channels, {size}²",
            lambda: SPDResBlock(channels, dilations=SPD_8),
            {False: 1.7, True: 1.6},
        ),
        "upsample": (
            f"GatedUpsample2d {channels}→{channels // 2}, {size}²",
            lambda: GatedUpsample2d(channels, channels // 2),
            {},
        ),
    }
    rows = [
        Case(
            f"{name}-{'training' if training else 'inference'}",
            f"{title}, {'forward + backward' if training else 'inference'}",
            lambda make=make, training=training: _layer_forms(make(), channels, size, training=training),  # type: ignore[misc]
            wanted={"two convolutions": wanted[training]} if training in wanted else {},
            # The enlarging layer needs fewer than its formula has: a rate of the latter would flatter it.
            gmac=None
            if training or name == "upsample"
            else _gmac(make(), torch.zeros(1, channels, size, size, device="meta")),
        )
        for name, (title, make, wanted) in layers.items()
        for training in (False, True)
    ]
    rows += [
        Case(
            f"{name}-optimised",
            f"{title}, inference after optimize_for_inference",
            lambda make=make: _layer_forms(make(), channels, size, training=False, optimised=True),  # type: ignore[misc]
        )
        for name, (title, make, _) in layers.items()
    ]
    generator = Case(
        "generator-inference",
        f"InpaintGenerator({width}), {side}², inference",
        lambda: _generator_forms(width, side),
        wanted={"two convolutions": 1.4, "as trained": 1.3},
        gmac=None if quick else _generator_gmac(width, side),
    )
    image_side = 24 if quick else 256
    to_image = [
        Case(
            f"to-image-{'training' if training else 'inference'}",
            f"Convolution 32→3, 7×7, {image_side}², {'forward + backward' if training else 'inference'}",
            lambda training=training: _to_image_forms(image_side, training=training),  # type: ignore[misc]
        )
        for training in (False, True)
    ]
    return [*rows, *to_image, generator]


def _layer_forms(
    layer: nn.Module, channels: int, size: int, *, training: bool, optimised: bool = False
) -> dict[str, Form]:
    torch.manual_seed(0)
    forms = {"two convolutions": written_out(layer), "ours": optimize_for_inference(layer) if optimised else layer}
    return _passes(forms, torch.randn(1, channels, size, size), training=training)


def _to_image_forms(side: int, *, training: bool) -> dict[str, Form]:
    torch.manual_seed(0)
    layer = RefineNet(32).to_rgb
    return _passes(
        {"torch.nn.Conv2d": written_out(layer), "ours": layer}, torch.randn(1, 32, side, side), training=training
    )


def _passes(modules: dict[str, nn.Module], x: Tensor, *, training: bool) -> dict[str, Form]:
    if not training:
        return {name: torch.no_grad()(functools.partial(module, x)) for name, module in modules.items()}
    x.requires_grad_()  # in a network there is always a layer before

    def both_passes(module: nn.Module) -> Tensor:
        y = module(x)
        # The gradient of x is compared; those of the weights are computed, but stand in another order.
        gradients: tuple[Tensor, ...] = torch.autograd.grad(y, [x, *module.parameters()], torch.ones_like(y))
        return gradients[0]

    return {name: functools.partial(both_passes, module) for name, module in modules.items()}


def _generator_forms(width: int, side: int) -> dict[str, Form]:
    torch.manual_seed(0)
    generator = InpaintGenerator(width).eval()
    plain, fast = written_out(generator), optimize_for_inference(generator)
    image, mask = torch.rand(1, 3, side, side) * 2 - 1, F.pad(torch.ones(1, 1, side // 2, side // 2), [side // 4] * 4)
    no_grad = torch.no_grad()
    return {
        "two convolutions": no_grad(lambda: plain(image, mask).refined),
        "as trained": no_grad(lambda: generator(image, mask).refined),
        "ours": no_grad(lambda: fast(image, mask).refined),
    }


def _gmac(module: nn.Module, *inputs: Tensor) -> float:
    """10⁹ multiply-adds of the formulas in one pass, counted without memory or time."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.to("meta")(*inputs)
    return counter.get_total_flops() / 2e9


def _generator_gmac(width: int, side: int) -> float:
    with torch.device("meta"):
        return _gmac(InpaintGenerator(width), torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side))
