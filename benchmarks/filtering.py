"""Where minimal filtering pays: every shape of 3×3 convolution that the networks have, computed both ways.

    python -m benchmarks.filtering [--threads N]

prints milliseconds of a gated layer without and with minimal filtering, for inference with weights transformed at every
pass and kept, and for forward + backward; below 1 is faster with it. ``auto`` says what the package chooses, ``error``
how far results are from float64, as a share of the largest. The costs in ``gatedinpaint/_filtering_choice.py`` are
fitted to this table.
"""

import argparse
from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import interleaved
from gatedinpaint import GatedConv2d, minimal_filtering, optimize_for_inference


class Shape(NamedTuple):
    """A gated layer; its convolution has twice the channels out."""

    channels: int
    out_channels: int
    side: int
    dilation: int = 1
    batch: int = 1


SHAPES = (
    *(Shape(32, 16, 64), Shape(32, 16, 256), Shape(48, 48, 64), Shape(64, 32, 128), Shape(64, 64, 64)),
    *(Shape(64, 64, 128), Shape(96, 96, 64), Shape(96, 96, 64, 2), Shape(128, 16, 64), Shape(128, 64, 32)),
    *(
        Shape(128, 128, 32),
        Shape(128, 128, 64),
        Shape(128, 128, 64, 4),
        Shape(128, 128, 64, 5),
        Shape(128, 128, 64, 16),
    ),
    *(
        Shape(128, 128, 32, 2, batch=4),
        Shape(256, 64, 64),
        Shape(256, 128, 32),
        Shape(256, 128, 64),
        Shape(256, 256, 16),
    ),
    *(Shape(512, 128, 16), Shape(512, 128, 16, 2), Shape(512, 512, 16)),
)
Mode = Literal["always", "never"]


def times(shape: Shape, *, repeats: int = 7) -> dict[str, float]:
    """Seconds of each way."""
    torch.manual_seed(0)
    layer = GatedConv2d(shape.channels, shape.out_channels, 3, dilation=shape.dilation)
    kept = optimize_for_inference(layer)
    x = torch.randn(shape.batch, shape.channels, shape.side, shape.side)
    of_x = x.clone().requires_grad_()

    def inference(module: nn.Module, mode: Mode) -> Callable[[], Tensor]:
        def run() -> Tensor:
            with torch.no_grad(), minimal_filtering(mode):
                y: Tensor = module(x)
            return y

        return run

    def training(mode: Mode) -> Callable[[], object]:
        def run() -> tuple[Tensor, ...]:
            with minimal_filtering(mode):
                y = layer(of_x)
            return torch.autograd.grad(y, [of_x, *layer.parameters()], torch.ones_like(y))

        return run

    forms = {
        "plain": inference(layer, "never"),
        "filtered": inference(layer, "always"),
        "kept": inference(kept, "always"),
        "plain, training": training("never"),
        "filtered, training": training("always"),
    }
    return interleaved(forms, repeats=repeats)


def errors(shape: Shape) -> tuple[float, float]:
    """Largest difference from float64 as a share of the largest value: by plain summation and by minimal filtering."""
    torch.manual_seed(0)
    layer = GatedConv2d(shape.channels, shape.out_channels, 3, dilation=shape.dilation)
    x = torch.randn(shape.batch, shape.channels, shape.side, shape.side)
    found = []
    with torch.no_grad():
        for mode in ("never", "always"):
            with minimal_filtering(mode):  # type: ignore[arg-type]
                found.append(layer(x))
        exact = layer.double()(x.double())
    plain, filtered = (float((y - exact).abs().max() / exact.abs().max()) for y in found)
    return plain, filtered


def chosen(shape: Shape, *, kept: bool) -> bool:
    """Whether the package takes minimal filtering for the shape by itself."""
    layer = GatedConv2d(shape.channels, shape.out_channels, 3, dilation=shape.dilation)
    layer = optimize_for_inference(layer) if kept else layer
    x = torch.zeros(shape.batch, shape.channels, shape.side, shape.side)
    counts = []
    for mode in (nullcontext(), minimal_filtering("never")):
        with mode, torch.no_grad(), FlopCounterMode(display=False) as counter:
            layer(x)
        counts.append(counter.get_total_flops())
    return counts[0] != counts[1]


def main(arguments: list[str] | None = None, *, shapes: tuple[Shape, ...] = SHAPES, repeats: int = 7) -> None:
    parser = argparse.ArgumentParser(description="Gated 3×3 convolutions by minimal filtering and by plain summation.")
    parser.add_argument("--threads", type=int, help="threads of torch; by default what torch chooses")
    threads = parser.parse_args(arguments).threads
    if threads is not None:
        torch.set_num_threads(threads)
    header = ["layer", "plain", "filtered", "kept", "share", "kept", "auto", "kept"]
    header += ["training", "filtered", "share", "error", "filtered"]
    print(f"| {' | '.join(header)} |")
    print("|---" * len(header) + "|")
    for shape in shapes:
        seconds = times(shape, repeats=repeats)
        plain, filtered, kept, training, filtered_training = (f"{1e3 * value:.3g}" for value in seconds.values())
        shares = [seconds[a] / seconds[b] for a, b in (("filtered", "plain"), ("kept", "plain"))]
        share_training = seconds["filtered, training"] / seconds["plain, training"]
        name = f"{shape.channels} → {shape.out_channels}, {shape.side}², d {shape.dilation}, batch {shape.batch}"
        auto = ["yes" if chosen(shape, kept=kept) else "no" for kept in (False, True)]
        cells = [name, plain, filtered, kept, *(f"{share:.2f}" for share in shares), *auto]
        cells += [training, filtered_training, f"{share_training:.2f}", *(f"{error:.1e}" for error in errors(shape))]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
