"""When our Conv2d multiplies less, and when it must not."""

import copy
import math
import os
import pickle
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from gatedinpaint import GatedConv2d, SelfAttention2d, _filtering_choice, minimal_filtering
from gatedinpaint._conv2d import Conv2d, keep_filters


def multiplications(run: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def layer_and_input(**options: object) -> tuple[Conv2d, torch.Tensor]:
    torch.manual_seed(0)
    return Conv2d(8, 8, 3, **{"padding": 1, **options}), torch.randn(2, 8, 16, 16)


def filters(layer: nn.Module, x: torch.Tensor) -> bool:
    """Whether the layer goes another way when told to do so wherever it can."""
    with minimal_filtering("never"):
        plain = multiplications(lambda: layer(x))
    with minimal_filtering("always"):
        ours = multiplications(lambda: layer(x))
    return ours != plain


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"dilation": 2, "padding": 2},
        {"padding": 0},
        {"padding_mode": "replicate"},
        {"padding_mode": "reflect", "padding": 3},
        {"padding_mode": "circular"},
    ],
    ids=str,
)
def test_goes_another_way_and_gives_the_same(options: dict) -> None:
    layer, x = layer_and_input(**options)
    assert filters(layer, x)
    with minimal_filtering("always"):
        torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"stride": 2}, {"groups": 2}, {"kernel_size": 1}, {"dilation": (1, 2)}, {"padding": (1, 0)}, {"padding": "same"}],
    ids=str,
)
def test_other_convolutions_stay_plain(options: dict) -> None:
    torch.manual_seed(0)
    layer = Conv2d(8, 8, **{"kernel_size": 3, "padding": 1, **options})
    assert not filters(layer, torch.randn(2, 8, 16, 16))


def test_other_numbers_stay_plain() -> None:
    layer, x = layer_and_input()
    with torch.autocast("cpu", torch.bfloat16):
        assert not filters(layer, x)
    for dtype in (torch.float64, torch.bfloat16):
        assert not filters(layer.to(dtype), x.to(dtype))
    assert multiplications(lambda: layer.to("meta")(x.to("meta", torch.bfloat16))) == 2 * 512 * 72 * 8


@pytest.mark.filterwarnings("ignore:`torch.jit")  # deprecated, still in use
def test_transformed_and_traced_calls_stay_plain() -> None:
    layer, x = layer_and_input()
    with minimal_filtering("always"):
        want = nn.Conv2d.forward(layer, x)
        mapped = torch.vmap(layer)(x[:, None])[:, 0]
        _, tangent = torch.func.jvp(layer, (x,), (torch.ones_like(x),))
        with forward_ad.dual_level():
            same = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, torch.ones_like(x)))).tangent
        traced = torch.jit.trace(layer, x)
        exported = torch.export.export(layer, (x,))
    torch.testing.assert_close(mapped, want, rtol=0, atol=1e-6)
    torch.testing.assert_close(tangent, nn.Conv2d.forward(layer, torch.ones_like(x)) - layer.bias[:, None, None])
    torch.testing.assert_close(same, tangent)
    assert "conv" in str(traced.graph)
    assert "bmm" not in str(traced.inlined_graph)
    assert any("conv2d" in str(node.target) for node in exported.graph.nodes)


@pytest.fixture(params=["avx2", "avx512", "wider convolutions"])
def vectors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the processor is taken to compute with."""
    monkeypatch.setattr(_filtering_choice, "vectors", lambda: request.param)
    monkeypatch.setattr(_filtering_choice, "onednn_multiplies", lambda: False)
    return str(request.param)


def test_only_where_it_is_faster(vectors: str) -> None:
    wide, narrow = Conv2d(128, 256, 3, padding=1), Conv2d(4, 8, 3, padding=1)
    for layer, channels, less in ((wide, 128, vectors != "wider convolutions"), (narrow, 4, False)):
        x = torch.randn(1, channels, 64, 64)
        with torch.no_grad():
            auto = multiplications(lambda layer=layer, x=x: layer(x))
            with minimal_filtering("never"):
                plain = multiplications(lambda layer=layer, x=x: layer(x))
        assert (auto < plain) is less


@pytest.mark.parametrize("vectors", ["avx512"], indirect=True)
def test_more_threads_share_a_plain_convolution_better(vectors: str) -> None:
    layer, x, threads = Conv2d(256, 512, 3, padding=1), torch.randn(1, 256, 32, 32), torch.get_num_threads()
    counts = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            with torch.no_grad():
                counts.append(multiplications(lambda: layer(x)))
    finally:
        torch.set_num_threads(threads)
    assert counts[0] < counts[1] == 2 * 9 * 256 * 512 * 32**2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does with freed memory")
def test_freed_memory_stays_for_the_next_layer() -> None:
    code = """
import resource, torch
from gatedinpaint._conv2d import Conv2d
layer, x = Conv2d(32, 64, 3, padding=1), torch.randn(1, 32, 128, 128)
counts = []
for _ in range(6):
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with torch.no_grad():
        y = layer(x) + layer(x)
    del y
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
print(min(counts))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    assert int(done.stdout) < 100  # one map of 4 MB has 1,024 pages


def test_what_is_changed_afterwards_counts() -> None:
    layer, x = layer_and_input()
    with minimal_filtering("always"):
        layer.register_forward_hook(lambda _module, _inputs, y: y + 1)
        prune.l1_unstructured(layer, "weight", 0.9)
        torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x) + 1, rtol=0, atol=1e-5)


def test_without_border() -> None:
    for mode in ("always", "never"):
        layer, x = layer_and_input(padding=1, dilation=2)
        with minimal_filtering(mode):
            want = nn.functional.conv2d(x, layer.weight, layer.bias, dilation=2)
            torch.testing.assert_close(layer.without_border(x), want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stays_within_its_tiles(value: float) -> None:
    layer, x = nn.Conv2d(4, 4, 3, padding=1), torch.randn(1, 4, 24, 24)
    layer.__class__ = Conv2d
    x[0, 1, 9, 10] = value  # of the tile of rows 8 to 11 and columns 8 to 11, and of no other
    with torch.no_grad(), minimal_filtering("always"):
        spread = ~layer(x).isfinite()
    expected = torch.zeros_like(spread)
    expected[..., 8:12, 8:12] = True
    assert torch.equal(spread, expected)


def test_kept_filters_follow_the_weight() -> None:
    layer, x = layer_and_input()
    keep_filters(nn.Sequential(layer.requires_grad_(False)))
    other, _ = layer_and_input()

    def check() -> None:
        with minimal_filtering("always"):
            torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x), rtol=0, atol=1e-4)

    check()
    kept = layer._kept
    check()
    assert layer._kept is kept is not None
    with torch.no_grad():
        layer.weight.mul_(2)
    check()
    other.weight.data.neg_()
    layer.load_state_dict(other.state_dict())
    check()
    layer.load_state_dict({key: 3 * value for key, value in other.state_dict().items()}, assign=True)
    check()
    layer.weight = nn.Parameter(torch.randn_like(layer.weight), requires_grad=False)
    check()
    nn.utils.vector_to_parameters(torch.randn(layer.weight.numel() + 8), layer.parameters())  # in ``.data``
    check()
    for _ in range(3):
        layer.half().float()  # the memory that was freed is taken again
        check()


@pytest.mark.parametrize("options", [{}, {"foreach": True}, {"fused": True}])
def test_kept_filters_follow_an_optimizer(options: dict[str, bool]) -> None:
    """A fused one writes into the weight without counting it as a change."""
    layer, x = layer_and_input()
    keep_filters(layer)
    for trained in (False, True, False):
        layer.requires_grad_(trained)
        with minimal_filtering("always"):
            result = layer(x)
        torch.testing.assert_close(result, nn.Conv2d.forward(layer, x), rtol=0, atol=1e-4)
        if trained:
            result.sum().backward()
            torch.optim.AdamW(layer.parameters(), lr=0.1, **options).step()


def test_kept_filters_are_no_part_of_a_copy_or_a_file() -> None:
    layer, x = layer_and_input()
    keep_filters(layer.requires_grad_(False))
    with minimal_filtering("always"):
        want = layer(x)
        assert layer._kept is not None
        for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            assert again._kept is None
            assert again.keeps_filters
            torch.testing.assert_close(again(x), want, rtol=0, atol=0)
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_weights_made_in_inference_mode() -> None:
    with torch.inference_mode(), minimal_filtering("always"):
        layer, x = layer_and_input()
        keep_filters(layer)
        torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x), rtol=0, atol=1e-5)
    trained, x = layer_and_input()  # nothing of inference mode stays behind
    with minimal_filtering("always"):
        trained(x).sum().backward()
    assert trained.weight.grad is not None


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_gated_layer_gives_back_the_layout_of_x(layout: torch.memory_format) -> None:
    layer, x = GatedConv2d(8, 8, 3), torch.randn(2, 8, 16, 16).contiguous(memory_format=layout)
    with minimal_filtering("always"):
        assert layer(x).is_contiguous(memory_format=layout)


def test_weights_in_channels_last_make_the_result_so() -> None:
    layer, x = GatedConv2d(8, 8, 3).to(memory_format=torch.channels_last), torch.randn(2, 8, 16, 16)
    assert nn.Conv2d.forward(layer.conv, x).is_contiguous(memory_format=torch.channels_last)
    for mode in ("always", "never"):
        with minimal_filtering(mode):
            assert layer(x).is_contiguous(memory_format=torch.channels_last)


def test_modes_nest_and_end_with_their_block() -> None:
    layer, x = layer_and_input()
    with minimal_filtering("always"):
        with minimal_filtering("never"):
            plain = multiplications(lambda: layer(x))
        assert multiplications(lambda: layer(x)) != plain
    assert multiplications(lambda: layer(x)) == plain


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match='mode must be "auto", "always" or "never"; got \'often\''):
        minimal_filtering("often").__enter__()


@pytest.mark.parametrize("kind", [GatedConv2d, SelfAttention2d])
def test_the_gradient_of_a_float32_island_in_autocast(kind: type[nn.Module]) -> None:
    """backward() under the caller's autocast: its products must not be rounded to half precision."""
    torch.manual_seed(0)
    layer = kind(16, 16, 3) if kind is GatedConv2d else kind(16)
    if isinstance(layer, SelfAttention2d):
        layer.gamma.data.fill_(1.0)
    x, gradients = torch.randn(1, 16, 16, 16), []
    for enabled in (False, True):
        layer.zero_grad()
        with minimal_filtering("always"), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            with torch.autocast("cpu", enabled=False):
                y = layer(x)
            y.square().mean().backward()
        gradients.append([parameter.grad.clone() for parameter in layer.parameters()])
    for plain, inside in zip(*gradients, strict=True):
        torch.testing.assert_close(inside, plain)
