"""Self-attention over the positions of a feature map, at one scale and at several."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_count, check_image, check_list, has_values
from gatedinpaint._memory import keep_freed_memory
from gatedinpaint._products import at_full_rate


class SelfAttention2d(nn.Module):
    r"""Self-attention between all positions of a feature map, with a residual gain that starts at 0.

    .. math:: y = x + \gamma \, V(x)\, \mathrm{softmax}\big(K(x)^\top Q(x)\big)

    Q and K are 1×1 convolutions to channels / reduction channels, V one to channels, the softmax runs over the keys.
    The N×N matrix of N = H·W positions is never held in memory:
    :func:`torch.nn.functional.scaled_dot_product_attention` works through it block by block. On the CPU, in float32 and
    float64, a function of our own does: it is faster. A second gradient does hold the matrix. It is there where our
    own function is, and elsewhere under ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)``.
    Derivatives in forward mode (``torch.func.jvp``) hold it too.

    Args:
        channels: channels of x and y.
        reduction: queries and keys have max(1, channels // reduction) channels.

    Shapes:
        x (B, channels, H, W) → y of the same shape.

    Raises:
        TypeError: x is no floating-point tensor; channels or a reduction that are no whole number.
        ValueError: x of another shape; channels or a reduction that are not positive.

    Reference:
        Zhang et al., "Self-Attention Generative Adversarial Networks", ICML 2019; its products are not scaled by 1/√d.

    Example:
        >>> attention = SelfAttention2d(16)
        >>> x = torch.randn(1, 16, 8, 8)
        >>> torch.equal(attention(x), x)  # gamma is 0 at first
        True
    """

    def __init__(self, channels: int, *, reduction: int = 8) -> None:
        super().__init__()
        check_count(channels, name="channels")
        inner = max(1, channels // check_count(reduction, name="reduction"))
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels, H, W) → y of the same shape."""
        check_image(x, name="x", channels=self.value.in_channels)
        query, key, value = (convolution(x).flatten(2) for convolution in (self.query, self.key, self.value))
        return x + self.gamma * _attend(query, key, value).reshape(x.shape)

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"{self.value.in_channels}, query and key {self.query.out_channels}"


class MultiScaleSelfAttention(nn.Module):
    """Self-attention on several feature maps, each with weights of its own (multi-scale self-attention, MSSA).

    Args:
        channels: the channels of every map.

    Shapes:
        A sequence of features (B, channels[i], Hᵢ, Wᵢ) → a list of the same shapes.

    Raises:
        TypeError: a map is no floating-point tensor; a bare tensor instead of a list.
        ValueError: no channels, another number of maps than of channels, or a map of another shape.

    Reference:
        Li et al., "DeepGIN: Deep Generative Inpainting Network for Extreme Image Inpainting", ECCVW 2020.

    Example:
        >>> attention = MultiScaleSelfAttention([8, 16])
        >>> [y.shape[1] for y in attention([torch.randn(1, 8, 8, 8), torch.randn(1, 16, 4, 4)])]
        [8, 16]
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        if not channels:
            raise ValueError("channels must name at least one feature map; got none.")
        self.attentions = nn.ModuleList(SelfAttention2d(width) for width in channels)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Features (B, channels[i], Hᵢ, Wᵢ) → attended features of the same shapes."""
        check_list(features, name="features", of="maps")
        if len(features) != len(self.attentions):
            raise ValueError(f"expected {len(self.attentions)} feature maps; got {len(features)}.")
        return [attention(x) for attention, x in zip(self.attentions, features, strict=True)]


# Entries of the N×N matrix computed at once: 2 MB in float32 stay in the processor's cache.
_BLOCK = 2**19


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """value · softmax(keyᵀ · query), for query and key (B, D, N) and value (B, C, N)."""
    if torch.autograd.forward_ad._current_level >= 0:  # for which no fused form has a rule
        return value @ _weights(query, key).mT
    if _own_way(query, key, value):
        keep_freed_memory()
        attended: Tensor = _BlockwiseAttention.apply(query, key, value)
        return attended
    # Keys narrower than values, or strided values, would send PyTorch to the form that holds N×N. Zeros change no
    # product and avoid it.
    narrower = value.shape[1] - query.shape[1]
    query, key, value = (tokens.mT[:, None].contiguous() for tokens in (query, key, value))
    query, key = (F.pad(tokens, (0, narrower)) for tokens in (query, key))
    attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0].mT
    # Strides that depend on the map's size would bind a traced graph to it.
    return attended.contiguous() if torch.compiler.is_compiling() else attended


def _own_way(*tokens: Tensor) -> bool:
    """Is ours the faster one: on the CPU, in full precision, and outside of a graph that is being recorded?"""
    first = tokens[0]
    if first.device.type != "cpu" or first.dtype not in (torch.float32, torch.float64):
        return False
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tokens):
        return not (torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None)
    return has_values(first)


class _BlockwiseAttention(torch.autograd.Function):
    """Attention by blocks of queries, which keeps no softmax for the backward pass but computes it again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        by_position = value.mT.contiguous()  # a product of what lies row by row is the fastest
        output = torch.empty_like(by_position)
        for rows in _row_blocks(query):
            weights = _weights(query[..., rows], key)
            with at_full_rate():
                output[:, rows] = weights @ by_position
        return output.mT.contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx: Any, *down: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The caller may have left autocast on: these products are of the full type, as those of the forward pass were.
        with torch.autocast(down[0].device.type, enabled=False):
            return _BlockwiseAttention._down(*ctx.saved_tensors, *down)

    @staticmethod
    def _down(
        query: Tensor, key: Tensor, value: Tensor, output: Tensor, down_output: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        # A softmax row p with gradient g sends on p·(g - p·g); its p·g is that of the output, without the matrix.
        row_sums = (down_output * output).sum(dim=1).unsqueeze(2)
        down_query, down_key, down_value = (torch.zeros_like(tokens) for tokens in (query, key, value))
        # Every step can itself be differentiated: that is the second gradient.
        for rows in _row_blocks(query):
            weights = _weights(query[..., rows], key)
            with at_full_rate():
                down_value.baddbmm_(down_output[..., rows], weights)
                down_products = down_output[..., rows].mT @ value
            down_products.sub_(row_sums[:, rows]).mul_(weights)
            down_query[..., rows] = key @ down_products.mT
            down_key.baddbmm_(query[..., rows], down_products)
            del weights, down_products  # or the next block's would stand beside them
        return down_query, down_key, down_value


def _weights(query: Tensor, key: Tensor) -> Tensor:
    """Softmax over the keys: (B, D, n) and (B, D, N) → (B, n, N)."""
    with at_full_rate():
        products = query.mT @ key
    return products.softmax(dim=2)


def _row_blocks(query: Tensor) -> Iterator[slice]:
    """Slices of positions, so many that a block of the matrix has about ``_BLOCK`` entries, but no fewer than 64."""
    batch, _, positions = query.shape
    step = max(_BLOCK // (batch * positions), 64)
    return (slice(start, start + step) for start in range(0, positions, step))
