"""The patch that one score judges, the two hinge losses, and what spectral normalisation does to singular values."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from docs._build.draw._paper import BLUE, GREY, ORANGE, save, sheet
from gatedinpaint import SNPatchDiscriminator, hinge_discriminator_loss, hinge_generator_loss

FIGURES = ("sn-patchgan.png",)


def draw(folder: Path) -> None:
    torch.manual_seed(0)
    figure, (axes,) = sheet(1, 3, height=2.3)
    _patch(axes[0])
    _hinge(axes[1])
    _singular_values(axes[2])
    save(figure, folder / FIGURES[0])


def _patch(ax: plt.Axes) -> None:
    """|gradient| of one score with respect to the image, averaged over channels and seeded networks."""
    total = torch.zeros(512, 512)
    for _ in range(4):
        discriminator = SNPatchDiscriminator(4).eval()
        image = torch.zeros(1, 3, 512, 512).normal_(std=0.3).requires_grad_()
        logits = discriminator(image, torch.zeros(1, 1, 512, 512))
        (gradient,) = torch.autograd.grad(logits[0, :, 4, 4].sum(), image)
        total += gradient[0].abs().sum(0)
    rows = total.sum(1).nonzero().flatten()
    smooth = torch.nn.functional.avg_pool2d(total[None], 9, stride=1, padding=4)[0]
    ax.imshow(smooth, cmap="magma")
    ax.set(xticks=range(0, 513, 128), yticks=range(0, 513, 128), xlabel="x, pixels", ylabel="y, pixels")
    for line in range(0, 513, 64):  # one score per cell
        ax.axhline(line, color="white", linewidth=0.3)
        ax.axvline(line, color="white", linewidth=0.3)
    ax.set_title(f"one score sees {int(rows[-1] - rows[0]) + 1}×{int(rows[-1] - rows[0]) + 1} pixels", fontsize=8)


def _hinge(ax: plt.Axes) -> None:
    scores = torch.linspace(-3, 3, 121)
    settled = torch.full((1,), 9.0)
    real = [hinge_discriminator_loss(score[None], -settled) for score in scores]
    fake = [hinge_discriminator_loss(settled, score[None]) for score in scores]
    ax.plot(scores, real, color=BLUE, label="D, of a real patch")
    ax.plot(scores, fake, color=ORANGE, label="D, of a fake patch")
    ax.plot(
        scores, [hinge_generator_loss(score[None]) for score in scores], "--", color=GREY, label="G, of a fake patch"
    )
    ax.set(xlabel="score", ylabel="loss", title="hinge losses")
    ax.title.set_fontsize(8)
    ax.legend(fontsize=6.5, frameon=False)


def _singular_values(ax: plt.Axes) -> None:
    convolution = SNPatchDiscriminator(8).eval().layers[4]
    weight = convolution.parametrizations.weight.original
    for values, color, label in ((weight, ORANGE, "as stored"), (convolution.weight, BLUE, "in use, normalised")):
        ax.plot(torch.linalg.svdvals(values.detach().flatten(1)), color=color, label=label)
    ax.axhline(1, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(xlabel="index", ylabel="singular value", ylim=(0, None), title="weight of the third layer")
    ax.title.set_fontsize(8)
    ax.legend(fontsize=6.5, frameon=False)
