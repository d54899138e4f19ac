"""Self-attention over the positions of a feature map, at one scale and at several."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._checks import check_image, check_positive


class SelfAttention2d(nn.Module):
    r"""Self-attention between all positions of a feature map, with a residual gain that starts at 0.

    .. math:: y = x + \gamma \, V(x)\, \mathrm{softmax}\big(K(x)^\top Q(x)\big)

    Q and K are 1×1 convolutions to channels / reduction channels, V one to channels, the softmax runs over the keys.
    The N×N matrix of N = H·W positions is never held in memory:
    :func:`torch.nn.functional.scaled_dot_product_attention` works through it block by block.

    Args:
        channels: channels of x and y.
        reduction: queries and keys have max(1, channels // reduction) channels.

    Shapes:
        x (B, channels, H, W) → y of the same shape.

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
        check_positive(channels, name="channels")
        check_positive(reduction, name="reduction")
        inner = max(1, channels // reduction)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, channels, H, W) → y of the same shape."""
        check_image(x, name="x", channels=self.value.in_channels)
        # Keys narrower than values, or strided values, would send PyTorch to the form that holds N×N. Zeros change no
        # product and avoid it.
        narrower = self.value.out_channels - self.query.out_channels
        query, key = (F.pad(_tokens(convolution(x)), (0, narrower)) for convolution in (self.query, self.key))
        value = _tokens(self.value(x))
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.gamma * attended.transpose(-1, -2).reshape(x.shape)

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
        ValueError: no channels, or another number of maps than of channels.

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
        if len(features) != len(self.attentions):
            raise ValueError(f"expected {len(self.attentions)} feature maps; got {len(features)}.")
        return [attention(x) for attention, x in zip(self.attentions, features, strict=True)]


def _tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) → (B, 1, H·W, C), contiguous: one head, positions in rows."""
    return x.flatten(2).transpose(1, 2)[:, None].contiguous()
