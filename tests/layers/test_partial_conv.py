import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion
from torch import nn
from torch.nn.utils import prune

from gatedinpaint import PartialConv2d


def by_hand(layer: PartialConv2d, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The definition, tap by tap."""
    conv, groups = layer.conv, layer.conv.groups
    step, gap, margin, side = (pair[0] for pair in (conv.stride, conv.dilation, conv.padding, conv.kernel_size))
    batch, channels, height, width = x.shape
    rows, columns = ((n + 2 * margin - gap * (side - 1) - 1) // step + 1 for n in (height, width))
    y, smaller = x.new_zeros(batch, conv.out_channels, rows, columns), mask.new_ones(batch, 1, rows, columns)
    for b in range(batch):
        for row in range(rows):
            for column in range(columns):
                total, seen, inside = x.new_zeros(conv.out_channels), 0, 0
                for i in range(side):
                    for j in range(side):
                        v, u = row * step - margin + i * gap, column * step - margin + j * gap
                        if not (0 <= v < height and 0 <= u < width):
                            continue
                        inside += 1
                        if mask[b, 0, v, u] > 0.5:
                            continue
                        seen += 1
                        pixel = x[b, :, v, u].view(groups, 1, channels // groups)
                        weight = conv.weight[:, :, i, j].view(groups, -1, channels // groups)
                        total = total + (weight * pixel).sum(-1).flatten()
                if seen:
                    y[b, :, row, column] = total * inside / seen + (0 if conv.bias is None else conv.bias)
                    smaller[b, 0, row, column] = 0
    return y, smaller


def example(channels: int = 4, size: tuple[int, int] = (9, 8)) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x, mask = torch.randn(2, channels, *size, dtype=torch.float64), torch.zeros(2, 1, *size, dtype=torch.float64)
    mask[0, :, 1:8, 2:7] = 1
    mask[1] = (torch.rand(1, *size) > 0.3).double()
    return x, mask


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"dilation": 2},
        {"groups": 2},
        {"bias": False},
        {"padding": 0},
        {"kernel_size": 4, "stride": 2},
        {"kernel_size": 2, "padding": 2},  # wider padding than kernel: some positions see padding alone
        {"kernel_size": 1},
    ],
)
def test_equals_the_definition(options: dict[str, int]) -> None:
    layer = PartialConv2d(4, 6, **({"kernel_size": 3} | options)).double()
    x, mask = example()
    for ours, theirs in zip(layer(x, mask), by_hand(layer, x, mask), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_an_answer_worked_out_by_hand() -> None:
    layer = PartialConv2d(1, 1, 3)
    torch.nn.init.ones_(layer.conv.weight)
    torch.nn.init.constant_(layer.conv.bias, 0.5)
    x = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]).view(1, 1, 3, 3)
    mask = torch.tensor([[0.0, 1, 1], [1, 1, 1], [1, 1, 1]]).view(1, 1, 3, 3)
    y, smaller = layer(x, mask)
    # Only the 1 is known. A corner's kernel covers 4 pixels of the map, an edge's 6, the middle's 9.
    assert y[0, 0].tolist() == [[4.5, 6.5, 0.0], [6.5, 9.5, 0.0], [0.0, 0.0, 0.0]]
    assert smaller[0, 0].tolist() == [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]


@pytest.mark.parametrize("options", [{}, {"stride": 2, "dilation": 2}, {"groups": 2, "bias": False}])
def test_without_a_hole_it_is_a_convolution(options: dict[str, int]) -> None:
    layer, (x, mask) = PartialConv2d(4, 6, 5, **options).double(), example()
    y, smaller = layer(x, torch.zeros_like(mask))
    torch.testing.assert_close(y, layer.conv(x), rtol=0, atol=1e-14)  # only the order in which the bias is added
    assert not smaller.any()


def test_a_constant_map_stays_constant_however_much_is_missing() -> None:
    layer, (_, mask) = PartialConv2d(1, 1, 3, bias=False).double(), example()
    torch.nn.init.constant_(layer.conv.weight, 1 / 9)
    y, smaller = layer(torch.ones_like(mask), mask)
    counts = F.conv2d(torch.ones_like(mask), torch.ones(1, 1, 3, 3, dtype=torch.float64), padding=1)
    torch.testing.assert_close(y, torch.where(smaller > 0.5, 0.0, counts / 9))


@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (5, 1), (3, 2)])
def test_the_hole_shrinks_as_scipy_erodes_it(kernel_size: int, dilation: int) -> None:
    _, mask = example(size=(20, 30))
    mask[1, :, 2:18] = 1
    _, smaller = PartialConv2d(4, 2, kernel_size, dilation=dilation).double()(
        torch.zeros(2, 4, 20, 30, dtype=torch.float64), mask
    )
    side = dilation * (kernel_size - 1) + 1
    taps = torch.zeros(side, side, dtype=torch.bool)
    taps[::dilation, ::dilation] = True
    for before, after in zip(mask[:, 0], smaller[:, 0], strict=True):
        eroded = binary_erosion(before.numpy() > 0.5, taps.numpy(), border_value=1)  # padding keeps no pixel known
        assert torch.equal(after > 0.5, torch.from_numpy(eroded))


def test_the_content_of_the_hole_does_no_harm() -> None:
    layer, (x, mask) = PartialConv2d(4, 6, 3).double(), example()
    clean, _ = layer(x, mask)
    spoiled = torch.where(mask > 0.5, torch.nan, x).requires_grad_()
    y, _ = layer(spoiled, mask)
    assert torch.equal(y, clean)
    y.square().sum().backward()
    assert spoiled.grad is not None
    assert torch.equal(spoiled.grad * mask, torch.zeros_like(x))
    assert (spoiled.grad * (1 - mask)).abs().sum() > 0
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in layer.parameters())


def test_gradient_is_right() -> None:
    layer, (x, mask) = PartialConv2d(2, 2, 3, stride=2).double(), example(2, (5, 6))
    assert torch.autograd.gradcheck(lambda x: layer(x, mask)[0], x.requires_grad_())


def test_all_hole_gives_zero_and_stays_hole() -> None:
    layer, (x, mask) = PartialConv2d(4, 6, 3).double(), example()
    y, smaller = layer(x, torch.ones_like(mask))
    assert torch.equal(y, torch.zeros_like(y)) and smaller.all()
    y.sum().backward()
    assert torch.equal(layer.conv.weight.grad, torch.zeros_like(layer.conv.weight))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_follows_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, (x, mask) = PartialConv2d(4, 6, 17), example(size=(24, 24))  # 289 taps: more than bfloat16 can count
    expected, smaller = layer(x.float(), mask.float())
    tolerance = 0.02 if dtype is torch.bfloat16 else 0.003
    with torch.autocast("cpu", dtype=dtype):
        y, updated = layer(x.float(), mask.float())
    assert y.dtype == dtype and updated.dtype == torch.float32 and torch.equal(updated, smaller)
    torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance)
    y, updated = layer.to(dtype)(x.to(dtype), mask.to(dtype))
    assert y.dtype == dtype and torch.equal(updated.float(), smaller)
    torch.testing.assert_close(y.float(), expected, rtol=tolerance, atol=tolerance)


def test_layers_follow_each_other_until_the_hole_is_closed() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:12, 4:12] = 1
    x, left = torch.randn(1, 3, 16, 16), []
    for _ in range(4):
        x, mask = PartialConv2d(3, 3, 3)(x, mask)
        left.append(int(mask.sum()))
    assert left == [36, 16, 4, 0]


def test_is_exported_for_any_size() -> None:
    layer, (x, mask) = PartialConv2d(4, 6, 3, stride=2).eval(), example()
    free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    exported = torch.export.export(layer, (x.float(), mask.float()), dynamic_shapes=(free, free)).module()
    x, mask = example(size=(31, 22))
    for ours, theirs in zip(exported(x.float(), mask.float()), layer(x.float(), mask.float()), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="stride must be greater than 0; got 0"):
        PartialConv2d(4, 4, 3, stride=0)
    with pytest.raises(ValueError, match="groups must divide in_channels and out_channels; got 3 for 4 and 6"):
        PartialConv2d(4, 6, 3, groups=3)
    with pytest.raises(ValueError, match=r'padding="same" needs an odd kernel at stride 1; got kernel_size=4'):
        PartialConv2d(4, 4, 4)
    layer, x = PartialConv2d(4, 4, 3), torch.zeros(2, 4, 8, 8)
    with pytest.raises(
        ValueError, match=r"mask must be \(B, 1, H, W\) = \(2, 1, 8, 8\), matching x .* pass mask\[:, N"
    ):
        layer(x, torch.zeros(2, 8, 8))
    with pytest.raises(TypeError, match=r"mask must be a floating-point tensor; got torch.bool"):
        layer(x, torch.zeros(2, 1, 8, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"x must be \(B, 4, H, W\); got \(2, 3, 8, 8\)"):
        layer(x[:, :3], torch.zeros(2, 1, 8, 8))


def test_infinite_results_stay_out_of_the_hole() -> None:
    layer, (x, mask) = PartialConv2d(4, 6, 3), example()
    x = x.float() * 3e38  # sums overflow
    y, smaller = layer(x, mask.float())
    assert y.isinf().any()
    assert not y[smaller.expand_as(y) > 0.5].any()


@pytest.mark.parametrize("bias", [True, False])
def test_what_is_hooked_on_the_convolution_or_put_around_it_counts(bias: bool) -> None:
    layer, (x, mask) = PartialConv2d(3, 4, 3, bias=bias), (torch.randn(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))
    mask[..., 2:6, 2:6] = 1
    prune.l1_unstructured(layer.conv, "weight", 0.5)
    for _ in range(2):  # steps: the hook computes the pruned weight anew before each
        layer(x, mask)[0].square().sum().backward()
        with torch.no_grad():
            layer.conv.weight_orig -= 0.1 * layer.conv.weight_orig.grad
    plain = PartialConv2d(3, 4, 3, bias=bias)
    plain.load_state_dict({key: value for key, value in layer.state_dict().items() if key == "conv.bias"}, strict=False)
    with torch.no_grad():
        plain.conv.weight.copy_(layer.conv.weight_orig * layer.conv.weight_mask)
    torch.testing.assert_close(layer(x, mask), plain(x, mask))

    around = PartialConv2d(3, 4, 3, bias=bias)
    around.load_state_dict(plain.state_dict())
    around.conv = nn.Sequential(around.conv)  # as an adapter does; those show the bias of what they hold
    around.conv.bias = around.conv[0].bias
    torch.testing.assert_close(around(x, mask), plain(x, mask))
