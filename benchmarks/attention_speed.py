"""Self-attention against the form that holds the matrix of all pairs of positions."""

import torch
from torch import Tensor, nn

from benchmarks.timing import Case, Form
from gatedinpaint import SelfAttention2d


def cases(*, quick: bool) -> list[Case]:
    size, channels = (12, 32) if quick else (64, 128)
    where = f"{channels} channels, {size}×{size}"
    return [
        Case(
            "attention-inference",
            f"SelfAttention2d {where}, inference",
            lambda: build(channels, size, training=False),
        ),
        Case(
            "attention-training",
            f"SelfAttention2d {where}, forward + backward",
            lambda: build(channels, size, training=True),
            wanted={"explicit": 1.5},
            wanted_memory=0.1,
        ),
    ]


def explicit(attention: SelfAttention2d, x: Tensor) -> Tensor:
    """The formula with its N×N matrix, N = H·W."""
    query, key, value = (part(x).flatten(2) for part in (attention.query, attention.key, attention.value))
    weights = (query.transpose(1, 2) @ key).softmax(dim=-1)
    attended: Tensor = value @ weights.transpose(1, 2)
    return x + attention.gamma * attended.reshape(x.shape)


def build(channels: int, size: int, *, training: bool) -> dict[str, Form]:
    torch.manual_seed(0)
    attention = SelfAttention2d(channels)
    nn.init.ones_(attention.gamma)  # 0 at first, where a wrong attention would look right
    x = torch.randn(1, channels, size, size)
    if not training:
        no_grad = torch.no_grad()
        return {"explicit": no_grad(lambda: explicit(attention, x)), "ours": no_grad(lambda: attention(x))}
    # The input's gradient is asked for as well: in a network there is always a layer before.
    x.requires_grad_()
    wanted, down = [x, *attention.parameters()], torch.randn(1, channels, size, size)
    return {
        "explicit": lambda: torch.autograd.grad(explicit(attention, x), wanted, down),
        "ours": lambda: torch.autograd.grad(attention(x), wanted, down),
    }
