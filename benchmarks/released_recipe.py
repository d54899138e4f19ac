"""The same network by two recipes, ours and the released code's, trained for the same time on the same data.

    python -m benchmarks.released_recipe --data SET --minutes 60 [--limit N] [--output FILE]

Both train from scratch with the trainer's own steps, one after the other on the same machine, at the width and batch
size of the trainer's preset ``small``; then both fill the holes of the held-out people, and one table shows them. What
the released recipe changes, each a fault of the paper's released code or a choice of its own:

- one filter serves as feature and gate, with BatchNorm after the gate, which goes by the batch's own statistics in use
  too, as the code never called ``eval()``;
- perceptual and style loss give no gradient: their arguments were swapped. They are left out here, which saves the time
  that the code spent on them;
- the adversarial term counts in full and from the first step, the discriminator ends in a LeakyReLU;
- hole and rest count by their means, equally; the learning rates stay constant; the weights are not averaged.

Left alike although the code differs, so that what is compared is the recipe: data, holes, references and twins, the
generator's remaining layers, total variation, and the loader.
"""

import argparse
import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from examples.mask_removal.config import Config, LossWeights, small
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.evaluate import FIGURES, measure
from examples.mask_removal.feed import Feed
from examples.mask_removal.held_out import HeldOut
from examples.mask_removal.perceptual_networks import build_features
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.random_state import seed_everything
from examples.mask_removal.steps import Networks, discriminator_step, generate, generator_step, update_average
from gatedinpaint import GatedConv2d, InpaintGenerator, SNPatchDiscriminator, composite
from gatedinpaint.metrics import LPIPS, summary_table

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
_ENDLESS = 10**9


class SharedGate(nn.Module):
    """The released code's gated convolution: φ(c) ⊙ σ(c) of one convolution c, then BatchNorm.

    Args:
        ours: the layer whose place it takes.
    """

    def __init__(self, ours: GatedConv2d) -> None:
        super().__init__()
        out_channels = ours.conv.out_channels // 2
        self.in_channels = ours.in_channels
        self.conv = nn.Conv2d(ours.in_channels, out_channels, groups=ours.groups, **ours.geometry._asdict())
        nn.init.kaiming_normal_(self.conv.weight, 0.2)
        nn.init.zeros_(self.conv.bias)
        self.activation = ours.activation
        self.norm = nn.BatchNorm2d(out_channels, track_running_stats=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, in_channels, H, W) → (B, out_channels, H', W')."""
        both = self.conv(x)
        feature = both if self.activation is None else self.activation(both)
        y: Tensor = self.norm(feature * both.sigmoid())
        return y


class LeakyPatches(nn.Module):
    """The discriminator with a LeakyReLU as its last layer."""

    def __init__(self, discriminator: SNPatchDiscriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Patch scores of image (B, 3, H, W) and mask (B, 1, H, W)."""
        return F.leaky_relu(self.discriminator(image, mask), 0.2)


def as_released(network: nn.Module) -> nn.Module:
    """Put the released code's layer in the place of every gated convolution, and return the network."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, GatedConv2d):
                setattr(parent, name, SharedGate(child))
    return network


def released(config: Config) -> Config:
    """The released code's losses and schedule, at the same width and batch size."""
    return replace(
        config,
        weights=LossWeights(adversarial=1.0, perceptual=0.0, style=0.0, lpips=0.0),
        hole_weight=1.0,
        valid_weight=1.0,
        area_normalized=True,
        warmup_steps=0,
        discriminator_every=1,
        learning_rate_generator=1e-4,
        learning_rate_discriminator=4e-4,
        ema_decay=0.0,
    )


def train_for(
    data: str, config: Config, seconds: float, *, is_released: bool, clock: Clock = time.perf_counter
) -> tuple[nn.Module, int]:
    """Train for so long; returns the generator as it is used, and the steps taken.

    Ours warms up without the adversarial term for a third of the time and lowers its rates to 0 over the last third.
    """
    seed_everything(config.seed)
    place = Ranks(0, 1, torch.device("cpu"))
    feed = Feed(FaceDataset(data, reference_share=config.reference_share, seed=config.seed), config, place)
    ours = InpaintGenerator(config.base_channels, coarse=config.coarse)
    ours.coarse_only = config.coarse_only
    generator: nn.Module = ours
    discriminator: nn.Module = SNPatchDiscriminator(config.discriminator_channels)
    if is_released:
        generator, discriminator = as_released(generator), LeakyPatches(discriminator)
    if config.channels_last:
        generator = generator.to(memory_format=torch.channels_last)
    features = build_features(config.features) if config.needs_features else nn.Identity()
    networks = Networks(generator, discriminator, features)
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    rates = (config.learning_rate_generator, config.learning_rate_discriminator)
    g_optimizer, d_optimizer = (
        NetworkOptimizer(
            network, precision=config.precision, learning_rate=rate, betas=config.betas, clip_norm=config.clip_norm
        )
        for network, rate in zip((generator, discriminator), rates, strict=True)
    )
    began, step = clock(), 0
    for (part,) in feed.parts(0, _ENDLESS):
        spent = (clock() - began) / seconds
        if spent >= 1:
            break
        if not is_released:
            for optimizer in (g_optimizer, d_optimizer):
                optimizer.set_rate(min(1.0, 3 * (1 - spent)))
        adversarial = bool(config.weights.adversarial) and (is_released or 3 * spent >= 1)
        output = generate(generator, part, config.precision)
        if adversarial and step % config.discriminator_every == 0:
            fake = composite(output.refined.detach(), part.image, part.mask)
            discriminator_step(discriminator, d_optimizer, [part], [fake], config)
        _, taken = generator_step(networks, g_optimizer, [part], output, config, adversarial=adversarial)
        if taken:
            update_average(average, g_optimizer.masters, min(config.ema_decay, (1 + step) / (10 + step)))
        step += 1
    return average, step


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="released_recipe", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="training set written by examples.mask_removal.prepare")
    parser.add_argument("--minutes", type=float, required=True, help="for each of the two")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="what the minutes are of; cpu, the processor time of the training process, is fair beside other work too",
    )
    parser.add_argument("--base-channels", type=int, help="width of the generator (default: that of the preset small)")
    parser.add_argument("--discriminator-channels", type=int, help="likewise")
    parser.add_argument("--limit", type=int, help="measure on so many held-out faces only")
    parser.add_argument("--output", type=Path, help="write the table, Markdown, into this file")
    options = parser.parse_args(arguments)
    try:
        widths = {name: getattr(options, name) for name in ("base_channels", "discriminator_channels")}
        ours = replace(small(), **{name: width for name, width in widths.items() if width})
        recipes = {"our recipe": ours, "released recipe": released(ours)}
        faces, fills, steps = HeldOut(options.data, limit=options.limit), {}, {}
        for name, config in recipes.items():
            is_released = name == "released recipe"
            network, steps[name] = train_for(
                options.data, config, 60 * options.minutes, is_released=is_released, clock=CLOCKS[options.clock]
            )
            fills[name] = lambda batch, network=network: network(*batch[:2]).refined
        reports = measure(faces.batches(), fills, [LPIPS("alex"), LPIPS("vgg")], **faces.about)
        gains = reports["our recipe"].compare(reports["released recipe"])
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"released_recipe: {error}", file=sys.stderr)
        return 2
    shown = [name for name in FIGURES if name in (*gains, *reports["our recipe"].distances)]
    lines = [summary_table(list(reports.values()), shown), ""]
    lines += [
        f"{options.minutes:g} minutes each by the {options.clock} clock, {torch.get_num_threads()} threads; "
        f"{len(faces.positions)} crops.",
        "",
    ]
    lines += [f"- {name}: {count} steps, {asdict(recipes[name].weights)}" for name, count in steps.items()]
    lines += [
        f"- ours minus released, {name}: {gains[name].mean:+.4f} ({gains[name].low:+.4f} to {gains[name].high:+.4f})"
        for name in shown
        if name in gains
    ]
    print("\n".join(lines))
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
