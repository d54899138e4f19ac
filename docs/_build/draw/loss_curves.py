"""Losses as curves: over the hole's area, over a noisy step, over the angle of embeddings."""

from pathlib import Path

import torch
from torch import Tensor

from docs._build.draw._paper import BLUE, COLOURS, GREY, ORANGE, save, sheet
from gatedinpaint import free_form_mask, info_nce_loss, masked_l1_loss, total_variation_loss

FIGURES = ("loss-hole-area.png", "loss-total-variation.png", "loss-info-nce.png")


def draw(folder: Path) -> None:
    _hole_area(folder)
    _total_variation(folder)
    _info_nce(folder)


def _hole_area(folder: Path) -> None:
    ratios = torch.linspace(0.02, 0.6, 15).tolist()
    masks = [free_form_mask((64, 64), hole_ratio=ratio, seed=0) for ratio in ratios]
    figure, axes = sheet(1, 2, height=2.1)
    for ax, normalize, name in ((axes[0, 0], None, "None"), (axes[0, 1], "area", '"area"')):
        for region, color in (("hole", BLUE), ("valid", ORANGE)):
            values = []
            for mask in masks:
                wrong = mask if region == "hole" else 1 - mask  # off by 0.1 in one region, right in the other
                values.append(masked_l1_loss(0.1 * wrong, torch.zeros_like(mask), mask, normalize=normalize).item())
            ax.plot(ratios, values, color=color, label=f"0.1 off in the {region} pixels only")
        ax.set(xlabel="share of hole pixels", ylabel="masked L1", ylim=(0, 0.55), title=f"normalize={name}")
        ax.title.set_fontsize(8)
    axes[0, 0].legend(fontsize=7, frameon=False)
    save(figure, folder / "loss-hole-area.png")


def _total_variation(folder: Path) -> None:
    """The signal that minimises mean (x − noisy)² + weight · TV, by gradient descent."""
    generator = torch.Generator().manual_seed(0)
    clean = torch.cat([torch.zeros(40), torch.ones(40), torch.full((40,), 0.4)])
    noisy = clean + 0.1 * torch.randn(120, generator=generator)
    figure, axes = sheet(1, 2, height=2.1, sharey=True)
    for ax, p, weight in ((axes[0, 0], 1, 0.5), (axes[0, 1], 2, 10.0)):
        x = noisy.clone().requires_grad_()
        optimizer = torch.optim.Adam([x], lr=0.02)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.001, total_iters=1500)
        for _ in range(1500):
            optimizer.zero_grad()
            ((x - noisy).square().mean() + weight * total_variation_loss(x.view(1, 1, 1, -1), p=p)).backward()
            optimizer.step()
            schedule.step()
        ax.plot(noisy, ".", color=GREY, markersize=3, label="noisy")
        ax.plot(clean, color=ORANGE, linewidth=1, label="truth")
        ax.plot(x.detach(), color=BLUE, label="minimum")
        ax.set_title(f"p={p}, weight {weight:g}", fontsize=8)
        ax.set_xlabel("place in the signal, pixels")
    axes[0, 0].set_ylabel("value")
    axes[0, 0].legend(fontsize=7, frameon=False)
    save(figure, folder / "loss-total-variation.png")


def _info_nce(folder: Path) -> None:
    """Left: the loss by the angle to the key. Right: how its push is shared out among the negatives."""
    angles = torch.linspace(0, 180, 91)
    negatives = _unit(torch.tensor([20.0, 60.0, 100.0, 140.0]))
    figure, axes = sheet(1, 2, height=2.2)
    for temperature, color in zip((0.07, 0.2, 0.5), COLOURS, strict=False):
        losses = [
            info_nce_loss(_unit(torch.tensor([0.0])), _unit(-angle[None]), negatives=negatives, temperature=temperature)
            for angle in angles
        ]
        axes[0, 0].plot(angles, losses, color=color, label=f"τ = {temperature}")
        push = (negatives @ _unit(torch.tensor([0.0])).T / temperature).flatten().softmax(0)
        axes[0, 1].plot([20, 60, 100, 140], push, "o-", color=color)
    axes[0, 0].set(xlabel="angle between query and its key, degrees", ylabel="loss, nats")
    axes[0, 1].set(xlabel="angle between query and a negative, degrees", ylabel="share of the push")
    axes[0, 0].legend(fontsize=7, frameon=False)
    save(figure, folder / "loss-info-nce.png")


def _unit(degrees: Tensor) -> Tensor:
    return torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)
