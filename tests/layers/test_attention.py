from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from gatedinpaint import MultiScaleSelfAttention, SelfAttention2d


def explicit(layer: SelfAttention2d, x: torch.Tensor) -> torch.Tensor:
    """The formula with its N×N matrix."""
    query, key, value = (convolution(x).flatten(2) for convolution in (layer.query, layer.key, layer.value))
    weights = (key.transpose(1, 2) @ query).softmax(dim=1)
    return x + layer.gamma * (value @ weights).reshape(x.shape)


def attention(channels: int, *, reduction: int = 8) -> SelfAttention2d:
    torch.manual_seed(0)
    layer = SelfAttention2d(channels, reduction=reduction)
    torch.nn.init.constant_(layer.gamma, 0.7)
    return layer


@pytest.mark.parametrize(("channels", "reduction"), [(16, 8), (4, 8), (16, 1), (16, 2)])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (16, 16)])
def test_equals_the_explicit_form_with_its_gradient(channels: int, reduction: int, size: tuple[int, int]) -> None:
    layer = attention(channels, reduction=reduction).double()
    x = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(x), explicit(layer, x), rtol=0, atol=1e-10)
    (ours,) = torch.autograd.grad(layer(x).square().sum(), x)
    (theirs,) = torch.autograd.grad(explicit(layer, x).square().sum(), x)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("training", [True, False])
def test_never_holds_the_matrix_of_all_pairs(training: bool, memory_format: torch.memory_format) -> None:
    # With only the blockwise kernel allowed, PyTorch raises where it would have fallen back to the N×N form.
    layer, x = (
        attention(16).requires_grad_(training),
        torch.randn(2, 16, 56, 56).contiguous(memory_format=memory_format),
    )
    with (
        sdpa_kernel(SDPBackend.FLASH_ATTENTION),
        torch.profiler.profile(profile_memory=True, record_shapes=True) as profile,
    ):
        y = layer(x.requires_grad_(training))
        if training:
            y.sum().backward()
    positions = 56 * 56
    largest = max(max(event.self_cpu_memory_usage, 0) for event in profile.events())
    assert 0 < largest < 2 * positions * positions * 4 / 4  # a quarter of the two float32 matrices of the batch


@pytest.mark.parametrize("size", [(5, 6), (11, 12)])  # one block of queries; several, the last of them not full
def test_first_and_second_gradient(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    monkeypatch.setattr("gatedinpaint.layers.attention._BLOCK", 64)
    layer = attention(4, reduction=2).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(layer(x), explicit(layer, x), rtol=0, atol=1e-10)
    down = torch.randn_like(x)

    def gradients(form: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, ...]:
        first = torch.autograd.grad(form(x), [x, *layer.parameters()], down, create_graph=True)
        second = torch.autograd.grad(sum(part.square().sum() for part in first), [x, *layer.parameters()])
        return (*first, *second)

    expected = gradients(lambda x: explicit(layer, x))
    assert all(gradient.abs().max() > 0 for gradient in (expected[0], expected[8]))
    torch.testing.assert_close(gradients(layer), expected, rtol=1e-9, atol=1e-9)


def test_gradcheck() -> None:
    layer = attention(2, reduction=1).double()
    assert torch.autograd.gradcheck(layer, torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True))


def test_a_frozen_layer_passes_the_gradient_on_and_a_frozen_input_leaves_the_layer_its_own() -> None:
    layer, x = attention(8), torch.randn(1, 8, 6, 6)
    frozen_input = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    x.requires_grad_()
    full = torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()])
    torch.testing.assert_close(frozen_input, full[1:], rtol=0, atol=0)
    layer.requires_grad_(False)
    layer.query.requires_grad_()
    part = torch.autograd.grad(layer(x).square().sum(), [x, layer.query.weight])
    torch.testing.assert_close(part, full[:1] + full[2:3], rtol=0, atol=0)


def test_compiled_and_exported_forms_agree() -> None:
    layer, x = attention(8).eval(), torch.randn(1, 8, 9, 10)
    expected = layer(x).detach()
    exported = torch.export.export(layer, (x,))
    assert torch.ops.aten.scaled_dot_product_attention.default in {node.target for node in exported.graph.nodes}
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for form in (exported.module(), compiled):
        torch.testing.assert_close(form(x), expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # the tracer's: that sizes are checked, and that there are newer ways
@pytest.mark.parametrize("training", [True, False])
def test_traced_form_is_a_graph_for_every_size(training: bool) -> None:
    layer, x = attention(8), torch.randn(2, 8, 13, 7)
    with torch.set_grad_enabled(training):
        traced = torch.jit.trace(layer, torch.randn(1, 8, 5, 6))
    assert "aten::scaled_dot_product_attention" in str(traced.graph) + str(traced.inlined_graph)
    torch.testing.assert_close(traced(x), layer(x), rtol=0, atol=1e-5)


def test_autocast_has_the_gradient_of_float32() -> None:
    layer, x = attention(16), torch.randn(1, 16, 8, 8, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x).square().sum(), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = layer(x).float().square().sum()
    (gradient,) = torch.autograd.grad(loss, x)
    assert (gradient - expected).norm() < 0.02 * expected.norm()


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_gradient_under_vmap() -> None:
    layer, x = attention(8), torch.randn(3, 1, 8, 4, 4)
    gradient = torch.func.grad(lambda one: layer(one).square().sum())
    torch.testing.assert_close(torch.func.vmap(gradient)(x), torch.stack([gradient(one) for one in x]))


def test_is_the_identity_at_first() -> None:
    x = torch.randn(1, 16, 6, 6)
    assert torch.equal(SelfAttention2d(16)(x), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_follows_float32(dtype: torch.dtype) -> None:
    layer, x = attention(16), torch.randn(1, 16, 8, 8)
    torch.testing.assert_close(layer.to(dtype)(x.to(dtype)).float(), attention(16)(x), rtol=0, atol=5e-2)


def test_multi_scale_applies_each_attention_to_its_map() -> None:
    layer = MultiScaleSelfAttention([8, 16])
    for child in layer.attentions:
        torch.nn.init.ones_(child.gamma)
    maps = [torch.randn(1, 8, 6, 6), torch.randn(1, 16, 3, 3)]
    for result, child, x in zip(layer(maps), layer.attentions, maps, strict=True):
        torch.testing.assert_close(result, explicit(child, x))


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="channels must be one whole number; got 16.0"):
        SelfAttention2d(16.0)
    with pytest.raises(TypeError, match="reduction must be one whole number; got 1.5"):
        SelfAttention2d(16, reduction=1.5)
    with pytest.raises(ValueError, match="channels must be greater than 0; got 0"):
        SelfAttention2d(0)
    with pytest.raises(ValueError, match="at least one feature map"):
        MultiScaleSelfAttention([])
    with pytest.raises(TypeError, match=r"features must be a list of maps; got a Tensor\. Pass \[features\]"):
        MultiScaleSelfAttention([8])(torch.randn(1, 8, 4, 4))
    with pytest.raises(ValueError, match="expected 2 feature maps; got 1"):
        MultiScaleSelfAttention([8, 8])([torch.randn(1, 8, 4, 4)])
    with pytest.raises(ValueError, match=r"x must be \(B, 8, H, W\); got \(1, 4, 4, 4\)"):
        SelfAttention2d(8)(torch.randn(1, 4, 4, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_without_a_gradient_too_the_own_function_is_taken_in_full_precision(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[torch.dtype] = []
    inner = F.scaled_dot_product_attention

    def fused(query: torch.Tensor, *args: torch.Tensor, scale: float) -> torch.Tensor:
        calls.append(query.dtype)
        return inner(query, *args, scale=scale)

    monkeypatch.setattr(F, "scaled_dot_product_attention", fused)
    attention, x = SelfAttention2d(16).to(dtype), torch.randn(2, 16, 9, 7, dtype=dtype)
    torch.nn.init.ones_(attention.gamma)
    with torch.no_grad():
        y = attention(x)
        expected = explicit(attention, x)
    assert calls == [torch.bfloat16] * (dtype is torch.bfloat16)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5 if dtype is not torch.bfloat16 else 2e-2)
