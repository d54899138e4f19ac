"""Where a pixel in the hole looks, at the three scales of the shipped generator's refine net."""

from pathlib import Path

import torch
from torch import Tensor, nn

from docs._build.draw._paper import RED, masked_face, save, sheet, show
from gatedinpaint import SelfAttention2d, composite

FIGURES = ("attention.png",)


def draw(folder: Path) -> None:
    face = masked_face()
    attentions = face.generator.refine.attention.attentions
    seen = [_watch(attention) for attention in attentions]
    with torch.inference_mode():
        output = face.generator(face.image, face.mask)
    filled = composite(output.refined, face.image, face.mask)
    queries = {"the mouth": (64, 88), "the cheek": (38, 76)}  # (x, y) in the crop of 128 pixels

    figure, axes = sheet(2, 4, height=3.7)
    for row, (place, (x, y)) in enumerate(queries.items()):
        show(axes[row, 0], filled, f"query in the hole: {place}")
        for column, (attention, maps) in enumerate(zip(attentions, seen, strict=True), start=1):
            weights = _weights(attention, maps[0], x, y)
            scale = 128 // weights.shape[-1]
            title = f"1/{scale} scale, γ = {attention.gamma.item():.3f}" if row == 0 else ""
            show(axes[row, column], filled.mean(1, keepdim=True), title, alpha=0.45, extent=(0, 128, 128, 0))
            show(axes[row, column], weights / weights.max(), title, cmap="magma", alpha=0.75, extent=(0, 128, 128, 0))
        for ax in axes[row]:
            ax.plot(x, y, "o", markersize=5, markerfacecolor="none", markeredgecolor=RED, markeredgewidth=1.5)
    save(figure, folder / FIGURES[0])


def _watch(attention: SelfAttention2d) -> list[Tensor]:
    seen: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0])

    attention.register_forward_pre_hook(keep)
    return seen


def _weights(attention: SelfAttention2d, x: Tensor, column: int, row: int) -> Tensor:
    """The softmax over the keys for one query, (1, 1, H, W): the row of N×N that the layer never keeps."""
    side = x.shape[-1]
    with torch.inference_mode():
        query = attention.query(x)[0, :, row * side // 128, column * side // 128]
        products = torch.einsum("c,chw->hw", query, attention.key(x)[0])
    return products.flatten().softmax(0).view(1, 1, side, side)
