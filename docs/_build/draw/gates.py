"""What the gates of the shipped generator's coarse net let through."""

from pathlib import Path

import torch
from torch import Tensor, nn

from docs._build.draw._paper import masked_face, save, sheet, show
from gatedinpaint import GatedConv2d, composite

FIGURES = ("gates.png",)


def draw(folder: Path) -> None:
    face = masked_face()
    coarse = face.generator.coarse
    layers = {
        "first layer\nof the encoder": coarse.stem,
        "encoder, 1/4": coarse.down[1][1],
        "decoder, 1/4": coarse.up[2][1],
        "last gated layer\nof the decoder": coarse.up[4][1],
    }
    gates = {name: _watch(layer) for name, layer in layers.items()}
    with torch.inference_mode():
        face.generator(face.image, face.mask)

    figure, axes = sheet(2, 5, height=3.35)
    show(axes[0, 0], composite(torch.zeros_like(face.image), face.image, face.mask), "what the network\nsees: photo …")
    show(axes[1, 0], face.mask, "… and mask")
    for column, (name, maps) in enumerate(gates.items(), start=1):
        channels = maps[0][0]
        last = show(axes[0, column], channels.mean(0)[None, None], name, vmin=0, vmax=1, cmap="viridis")
        show(axes[1, column], _most_telling(channels, face.mask), "one channel", vmin=0, vmax=1, cmap="viridis")
    figure.colorbar(last, ax=axes[:, -1], label="gate σ(g)", fraction=0.05)
    save(figure, folder / FIGURES[0])


def _watch(layer: GatedConv2d) -> list[Tensor]:
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], gate: Tensor) -> None:
        seen.append(gate)

    layer.sigmoid.register_forward_hook(keep)
    return seen


def _most_telling(channels: Tensor, mask: Tensor) -> Tensor:
    """The channel whose gate differs most between hole and photo."""
    hole = nn.functional.interpolate(mask, size=channels.shape[1:], mode="area")[0] > 0.5
    contrast = [(gate[hole[0]].mean() - gate[~hole[0]].mean()).abs() for gate in channels]
    return channels[int(torch.stack(contrast).argmax())][None, None]
