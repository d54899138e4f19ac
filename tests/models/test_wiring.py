"""What every weight is for: the networks written out over the names of their weights, without a class of the package.

A swapped concatenation, another dilation or slope keeps all names and shapes: a checkpoint from before would be loaded,
and paint something else.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gatedinpaint import InpaintGenerator, SNPatchDiscriminator


class Written:
    """Functions over a state dict, whose names they take."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights

    def conv(self, name: str, x: Tensor, *, stride: int = 1, dilation: int = 1, border: str = "constant") -> Tensor:
        weight = self.weights[f"{name}.weight"]
        margin = dilation * (weight.shape[-1] - 1) // 2
        padded = F.pad(x, [margin] * 4, mode=border)
        return F.conv2d(padded, weight, self.weights[f"{name}.bias"], stride, dilation=dilation)

    def gated(self, name: str, x: Tensor, *, slope: float = 0.2, **options: Any) -> Tensor:
        feature, gate = self.conv(f"{name}.conv", x, **options).chunk(2, dim=1)
        return F.leaky_relu(feature, slope) * gate.sigmoid()

    def plain(self, name: str, x: Tensor, *, stride: int = 1) -> Tensor:
        return F.leaky_relu(self.conv(f"{name}.0", x, stride=stride, border="replicate"), 0.2)

    def block(self, name: str, x: Tensor, dilations: Iterable[int], **options: Any) -> Tensor:
        branches = [
            self.gated(f"{name}.branches.{i}", x, dilation=dilation, **options) for i, dilation in enumerate(dilations)
        ]
        return x + self.gated(f"{name}.fuse", torch.cat(branches, dim=1), slope=1.0, **options)

    def attention(self, name: str, x: Tensor) -> Tensor:
        query, key, value = (self.conv(f"{name}.{part}", x).flatten(2) for part in ("query", "key", "value"))
        attended = value @ (key.mT @ query).softmax(dim=1)
        return x + self.weights[f"{name}.gamma"] * attended.view_as(x)

    def coarse_net(self, x: Tensor) -> Tensor:
        for i, stride in enumerate((1, 2, 1, 2, 1, 1)):
            x = self.gated(f"coarse.encoder.{i}", x, stride=stride)
        for i in range(4):
            x = self.block(f"coarse.middle.{i}", x, (1, 2, 3, 4, 5, 6, 8, 10))
        for i, dilation in enumerate((2, 4, 8, 16, 1, 1), 4):
            x = self.gated(f"coarse.middle.{i}", x, dilation=dilation)
        for i in (0, 2):
            x = self.gated(f"coarse.decoder.{i}.gated_conv", repeated(x))
            x = self.gated(f"coarse.decoder.{i + 1}", x)
        return self.conv("coarse.decoder.4", x).tanh()

    def coarse_unet(self, x: Tensor) -> Tensor:
        scales = [self.gated("coarse.stem", x)]
        for i in range(5):
            down = self.gated(f"coarse.down.{i}.0", scales[i], stride=2)
            scales.append(self.gated(f"coarse.down.{i}.1", down))
        y = self.block("coarse.middle", scales[5], (1, 2, 4, 8))
        for i in range(5):
            y = self.gated(f"coarse.up.{i}.0", torch.cat([repeated(y), scales[4 - i]], dim=1))
            y = self.gated(f"coarse.up.{i}.1", y)
        return self.conv("coarse.to_rgb", y).tanh()

    def refine_net(self, x: Tensor, *, all_skips: bool) -> tuple[Tensor, Tensor]:
        def spd(name: str, x: Tensor) -> Tensor:
            return self.block(f"refine.{name}", x, (1, 2, 4, 8), border="replicate")

        def polished(number: int, x: Tensor) -> Tensor:
            return spd(f"polish.{number}", x) if all_skips else x

        def beside(y: Tensor, *skips: Tensor) -> Tensor:
            return torch.cat([y, *skips], dim=1) if all_skips else y

        full = self.plain("refine.stem", x)
        scales = [full]
        for i in range(4):
            scales.append(self.plain(f"refine.down.{i}", scales[i], stride=2))
        middle = scales[4]
        for i in range(3):
            middle = spd(f"middle_before.{i}", middle)
        embedding = middle.mean(dim=(2, 3))
        y = self.attention("refine.attention.attentions.0", middle)
        skip_8 = self.attention("refine.attention.attentions.1", self.plain("refine.skip_8", scales[3]))
        skip_4 = self.attention("refine.attention.attentions.2", self.plain("refine.skip_4", scales[2]))
        for i in range(3):
            y = spd(f"middle_after.{i}", y)
        y = self.plain("refine.join_8", torch.cat([self.plain("refine.up_8", doubled(y)), skip_8], dim=1))
        y = self.plain("refine.join_4", torch.cat([self.plain("refine.up_4", doubled(y)), skip_4], dim=1))
        y = polished(1, self.plain("refine.up_2", beside(doubled(polished(0, y)), scales[1])))
        y = polished(2, self.plain("refine.up_1", beside(doubled(y), full, x)))
        return self.conv("refine.to_rgb", y, border="replicate"), embedding


def repeated(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def doubled(x: Tensor) -> Tensor:
    """Bilinear: each new pixel lies a quarter of a pixel from an old one."""
    for dim in (2, 3):
        size = x.shape[dim]
        before, after = (x.index_select(dim, (torch.arange(size) + step).clamp(0, size - 1)) for step in (-1, 1))
        x = torch.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], dim=dim + 1).flatten(dim, dim + 1)
    return x


def drawn(*shapes: tuple[int, ...]) -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.rand(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize(("coarse", "skips"), [("dilated", "deep"), ("unet", "all")])
def test_the_generator(coarse: Literal["dilated", "unet"], skips: Literal["deep", "all"]) -> None:
    generator = InpaintGenerator(2, coarse=coarse, skips=skips).double().eval()
    for name, parameter in generator.named_parameters():
        if name.endswith(("gamma", "bias")):  # 0 at first
            torch.nn.init.normal_(parameter, std=0.3)
    image, reference, *masks = drawn(*[(2, 3, 32, 64)] * 2, *[(2, 1, 32, 64)] * 2)
    hole, known = ((mask > 0.5).double() for mask in masks)
    output = generator(image, hole, reference, known)
    written, beside = Written(generator.state_dict()), torch.cat([hole, reference * known, known], dim=1)
    first: Callable[[Tensor], Tensor] = written.coarse_net if coarse == "dilated" else written.coarse_unet
    expected = first(torch.cat([image * (1 - hole), beside], dim=1))
    filled = torch.cat([image * (1 - hole) + expected * hole, beside], dim=1)
    refined, embedding = written.refine_net(filled, all_skips=skips == "all")
    for ours, theirs in zip(output, (expected, refined.clamp(-1, 1), embedding), strict=True):
        assert theirs.std() > 0.01
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_the_discriminator() -> None:
    discriminator = SNPatchDiscriminator(2).double().eval()
    image, mask = drawn((2, 3, 96, 64), (2, 1, 96, 64))
    x, weights = torch.cat([image, mask], dim=1), discriminator.state_dict()
    for i in range(0, 12, 2):
        weight = weights[f"layers.{i}.parametrizations.weight.original"]
        u, v = (weights[f"layers.{i}.parametrizations.weight.0.{name}"] for name in ("_u", "_v"))
        normalised = weight / (u @ weight.flatten(1) @ v)
        x = F.conv2d(F.leaky_relu(x, 0.2) if i else x, normalised, weights[f"layers.{i}.bias"], stride=2, padding=2)
    torch.testing.assert_close(discriminator(image, mask), x, rtol=0, atol=1e-10)
