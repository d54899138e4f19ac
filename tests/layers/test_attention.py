import pytest
import torch
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
def test_never_holds_the_matrix_of_all_pairs(memory_format: torch.memory_format) -> None:
    # With only the blockwise kernel allowed, PyTorch raises where it would have fallen back to the N×N form.
    layer, x = attention(16), torch.randn(2, 16, 24, 24).contiguous(memory_format=memory_format).requires_grad_()
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        layer(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    with torch.profiler.profile(profile_memory=True, record_shapes=True) as profile:
        layer(x).sum().backward()
    positions = 24 * 24
    largest = max(max(event.self_cpu_memory_usage, 0) for event in profile.events())
    assert 0 < largest < 2 * positions * positions * 4 / 4  # a quarter of the two float32 matrices of the batch


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
    with pytest.raises(ValueError, match="channels must be greater than 0; got 0"):
        SelfAttention2d(0)
    with pytest.raises(ValueError, match="at least one feature map"):
        MultiScaleSelfAttention([])
    with pytest.raises(ValueError, match="expected 2 feature maps; got 1"):
        MultiScaleSelfAttention([8, 8])([torch.randn(1, 8, 4, 4)])
    with pytest.raises(ValueError, match=r"x must be \(B, 8, H, W\); got \(1, 4, 4, 4\)"):
        SelfAttention2d(8)(torch.randn(1, 4, 4, 4))
