"""GatedUpsample2d takes a cheaper way where it can; what it computes stays interpolation, then convolution."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint import GatedUpsample2d
from gatedinpaint.layers._enlarged_conv import enlarged_conv2d


def written_out(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4)])
@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_equals_interpolation_then_convolution(
    size: tuple[int, int], with_bias: bool, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, *size, dtype=dtype), torch.randn(5, 3, 3, 3, dtype=dtype)
    bias = torch.randn(5, dtype=dtype) if with_bias else None
    y = enlarged_conv2d(x, weight, bias)
    assert y.is_contiguous()
    torch.testing.assert_close(y, written_out(x, weight, bias), rtol=0, atol=tolerance)


def test_y_has_the_layout_of_x() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 5, 4).contiguous(memory_format=torch.channels_last), torch.randn(5, 3, 3, 3)
    y = enlarged_conv2d(x, weight, None)
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, written_out(x, weight, None), rtol=0, atol=1e-5)


def test_by_hand() -> None:
    # One row, kernel (1, 10, 100) across its middle: x = 2, 3 is enlarged to 2 2 3 3.
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1] = torch.tensor([1.0, 10.0, 100.0])
    y = enlarged_conv2d(torch.tensor([2.0, 3.0]).reshape(1, 1, 1, 2), weight, None)
    assert y[0, 0].tolist() == [[220.0, 322.0, 332.0, 33.0]] * 2


def test_first_and_second_derivatives() -> None:
    torch.manual_seed(0)
    inputs = [
        torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((1, 2, 3, 2), (2, 2, 3, 3), (2,))
    ]
    assert torch.autograd.gradcheck(enlarged_conv2d, inputs)
    assert torch.autograd.gradgradcheck(enlarged_conv2d, inputs)


def gradients(layer: GatedUpsample2d, x: torch.Tensor, *, written: bool) -> list[torch.Tensor]:
    y = layer.gated_conv(F.interpolate(x, scale_factor=2, mode="nearest")) if written else layer(x)
    down = torch.randn(y.shape, generator=torch.Generator().manual_seed(2), dtype=y.dtype)
    return [y, *torch.autograd.grad(y, [x, *layer.parameters()], down)]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"norm": torch.nn.BatchNorm2d},
        {"spectral_norm": True},
        {"groups": 2},
        {"padding_mode": "reflect"},
        {"dilation": 2},
        {"padding": 0},
        {"gate": "single_channel"},
        {"scale_factor": 3},
        {"kernel_size": 5},
    ],
    ids=str,
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_every_option_gives_the_same_result_and_gradient(options: dict, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = GatedUpsample2d(4, 6, **options).double()
    x = torch.randn(2, 4, 5, 4, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    if options == {"scale_factor": 3}:
        enlarged = layer.gated_conv(F.interpolate(x, scale_factor=3, mode="nearest"))
        torch.testing.assert_close(layer(x), enlarged, rtol=0, atol=1e-12)
        return
    if "spectral_norm" in options:
        layer.eval()  # in training every pass moves the power iteration
    got, want = (gradients(layer, x, written=written) for written in (False, True))
    assert got[0].is_contiguous(memory_format=layout)
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_the_cheaper_way_is_taken() -> None:
    layer, x = GatedUpsample2d(8, 8), torch.randn(1, 8, 31, 31)
    with FlopCounterMode(display=False) as cheap, torch.no_grad():
        layer(x)
    with FlopCounterMode(display=False) as dear, torch.no_grad():
        written_out(x, layer.gated_conv.conv.weight, None)
    # 4/9, and one row and one column of 32 more.
    assert cheap.get_total_flops() / dear.get_total_flops() == pytest.approx(4 / 9 * (32 / 31) ** 2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, x = GatedUpsample2d(8, 8), torch.randn(1, 8, 6, 6)
    with torch.autocast("cpu", dtype):
        y = layer(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), layer(x), rtol=0, atol=4 * torch.finfo(dtype).eps)


def test_export_keeps_the_plain_graph_and_the_result() -> None:
    layer, x = GatedUpsample2d(3, 2).eval(), torch.randn(1, 3, 5, 4)
    program = torch.export.export(layer, (x,))
    assert any("upsample" in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(x), layer(x), rtol=0, atol=1e-6)


class Adapter(torch.nn.Module):
    """A convolution and something learned beside it, as low-rank adapters have it; it has no attributes of a Conv2d."""

    def __init__(self, base: torch.nn.Conv2d) -> None:
        super().__init__()
        self.base, self.beside = base, torch.nn.Conv2d(base.in_channels, base.out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base(x) + self.beside(x)


class Doubled(torch.nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def doubled(layer: GatedUpsample2d) -> None:
    layer.gated_conv.conv.__class__ = Doubled


def adapted(layer: GatedUpsample2d) -> None:
    layer.gated_conv.conv = Adapter(layer.gated_conv.conv)


def hooked(layer: GatedUpsample2d) -> None:
    layer.gated_conv.conv.register_forward_hook(lambda _module, _inputs, y: y + 1)


def hooked_outside(layer: GatedUpsample2d) -> None:
    layer.gated_conv.register_forward_pre_hook(lambda _module, inputs: (3 * inputs[0],))


def patched(layer: GatedUpsample2d) -> None:
    conv = layer.gated_conv.conv
    conv.forward = lambda x: torch.nn.Conv2d.forward(conv, x) + 1


def pruned(layer: GatedUpsample2d) -> None:
    prune.l1_unstructured(layer.gated_conv.conv, "weight", 0.9)


@pytest.mark.parametrize("change", [doubled, adapted, hooked, hooked_outside, patched, pruned])
def test_what_was_changed_afterwards_is_called(change: Callable[[GatedUpsample2d], None]) -> None:
    torch.manual_seed(0)
    layer, x = GatedUpsample2d(3, 4).double(), torch.randn(1, 3, 5, 4, dtype=torch.float64)
    before = layer(x)
    change(layer)
    layer.double()  # the adapter's
    want = layer.gated_conv(F.interpolate(x, scale_factor=2, mode="nearest"))
    torch.testing.assert_close(layer(x), want, rtol=0, atol=1e-12)
    assert (want - before).abs().max() > 0.01


def test_a_backward_hook_is_called() -> None:
    layer, seen = GatedUpsample2d(3, 4), []
    layer.gated_conv.conv.register_full_backward_hook(lambda *_: seen.append(1))
    layer(torch.randn(1, 3, 5, 4, requires_grad=True)).sum().backward()
    assert seen == [1]


def test_a_pruned_layer_trains_for_more_than_one_step() -> None:
    layer, x = GatedUpsample2d(3, 4), torch.randn(1, 3, 5, 4)
    pruned(layer)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    results = []
    for _ in range(3):
        y = layer(x)
        optimizer.zero_grad()
        y.sum().backward()
        optimizer.step()
        results.append(y.sum().item())
    assert results[0] > results[1] > results[2]  # the sum is what it is taught to lower
