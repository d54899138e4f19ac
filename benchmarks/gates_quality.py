"""What a lightweight gate costs in quality: small networks, alike but for their gates, fitted to one inpainting task.

    python -m benchmarks.gates_quality [--steps N] [--seeds N] [--output FILE]

A row for every gate: its parameters, multiply-adds and error in the hole. The images are drawn: waves in two colours
and a disc. It tells gates apart at this size; it is no forecast for photos.
"""

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.tables import add_output, publish, table
from gatedinpaint import GatedConv2d, free_form_mask, init_weights

GATES = ("full", "low_rank", "depthwise_separable", "single_channel")
SIDE, WIDTH, BATCH, HELD_OUT = 32, 16, 8, 64


def network(gate: str) -> nn.Sequential:
    layers = [GatedConv2d(4, WIDTH, 5, gate=gate)]  # type: ignore[arg-type]
    layers += [GatedConv2d(WIDTH, WIDTH, 3, dilation=dilation, gate=gate) for dilation in (1, 2, 4, 1)]  # type: ignore[arg-type]
    model = nn.Sequential(*layers, nn.Conv2d(WIDTH, 3, 3, padding=1))
    init_weights(model)
    return model


def examples(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Images (count, 3, 32, 32) in [-1, 1] and their holes."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE) / SIDE, torch.arange(SIDE) / SIDE, indexing="ij")
    angle, waves, phase = (torch.rand(count, 1, 1, 1, generator=random) for _ in range(3))
    along = x * (math.pi * angle).cos() + y * (math.pi * angle).sin()
    weight = 0.5 + 0.5 * (2 * math.pi * ((1 + 3 * waves) * along + phase)).sin()
    first, second, third = (2 * torch.rand(count, 3, 1, 1, generator=random) - 1 for _ in range(3))
    centre_x, centre_y, radius = (torch.rand(count, 1, 1, 1, generator=random) for _ in range(3))
    disc = ((x - centre_x).square() + (y - centre_y).square()).sqrt() < 0.15 + 0.2 * radius
    image = torch.where(disc, third, first * weight + second * (1 - weight))
    mask = torch.cat(
        [free_form_mask((SIDE, SIDE), hole_ratio=0.25, seed=seed * 10_000 + index) for index in range(count)]
    )
    return image, mask


def predict(model: nn.Module, image: Tensor, mask: Tensor) -> Tensor:
    result: Tensor = model(torch.cat([image * (1 - mask), mask], dim=1))
    return result


def fit(gate: str, *, steps: int, seed: int) -> float:
    """Mean error in the hole of images that were not fitted."""
    torch.manual_seed(seed)
    model = network(gate)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        image, mask = examples(BATCH, seed=1 + step)
        loss = l1_loss(predict(model, image, mask), image)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    image, mask = examples(HELD_OUT, seed=0)
    with torch.no_grad():
        error = (predict(model, image, mask) - image).abs() * mask
    return error.sum().item() / (3 * mask.sum().item())


def cost(gate: str) -> tuple[int, float]:
    """Parameters, and multiply-adds per pixel."""
    model = network(gate)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 4, SIDE, SIDE))
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() / 2 / SIDE**2


def main(arguments: list[str] | None = None) -> None:
    """Fit every gate from several seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    add_output(parser)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows = []
    for gate in GATES:
        parameters, multiply_adds = cost(gate)
        errors = [fit(gate, steps=options.steps, seed=seed) for seed in range(options.seeds)]
        by_seed = ", ".join(f"{error:.3f}" for error in errors)
        rows.append([gate, f"{parameters:,}", f"{multiply_adds:,.0f}", f"{sum(errors) / len(errors):.3f}", by_seed])
    header = ["gate", "parameters", "multiply-adds per pixel", "mean error in the hole", "by seed"]
    task = f"Drawn images of {SIDE}×{SIDE} pixels, a quarter of each a hole; {options.steps} steps."
    publish([table(header, rows), task], options.output)


if __name__ == "__main__":
    main()
