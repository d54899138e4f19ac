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
- hole and rest count by their means, equally; the learning rates stay constant; the weights are not averaged;
- total variation is that of the output, its differences squared, and counts in full, as does the contrastive term; ours
  is that of the composite, in absolute values, and both count by 0.02;
- the discriminator sees the whole image, ours a window around the hole.

Left alike although the code differs, so that what is compared is the recipe: data, holes, references and twins, the
generator's remaining layers, and the loader.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace

import torch

from benchmarks.tables import add_output, publish
from benchmarks.timed_training import Clock, train_for
from examples.mask_removal.config import Config, LossWeights, small
from examples.mask_removal.evaluate import measure
from examples.mask_removal.held_out import HeldOut
from examples.mask_removal.judging import FIGURES
from gatedinpaint.metrics import LPIPS, summary_table

CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}


def released(config: Config) -> Config:
    """The released code's losses and schedule, at the same width and batch size."""
    return replace(
        config,
        weights=LossWeights(adversarial=1.0, perceptual=0.0, style=0.0, lpips=0.0),
        hole_weight=1.0,
        valid_weight=1.0,
        area_normalized=True,
        window=1.0,
        warmup_steps=0,
        discriminator_every=1,
        learning_rate_generator=1e-4,
        learning_rate_discriminator=4e-4,
        ema_decay=0.0,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="released_recipe", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="training set written by examples.mask_removal.prepare")
    parser.add_argument("--minutes", type=float, required=True, help="for each of the two")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="what the minutes are of; cpu, the processor time of the training process, is fair beside other work too "
        "if OMP_NUM_THREADS is 1: several threads spin while they wait for one another",
    )
    parser.add_argument("--base-channels", type=int, help="width of the generator (default: that of the preset small)")
    parser.add_argument("--discriminator-channels", type=int, help="likewise")
    parser.add_argument("--limit", type=int, help="measure on so many held-out faces only")
    add_output(parser)
    options = parser.parse_args(arguments)
    try:
        widths = {name: getattr(options, name) for name in ("base_channels", "discriminator_channels")}
        ours = replace(small(), **{name: width for name, width in widths.items() if width})
        recipes = {"our recipe": ours, "released recipe": released(ours)}
        faces, fills, steps = HeldOut(options.data, limit=options.limit), {}, {}
        judges = [LPIPS("alex"), LPIPS("vgg")]  # before the training, which takes long
        for name, config in recipes.items():
            is_released = name == "released recipe"
            network, steps[name] = train_for(
                options.data, config, 60 * options.minutes, is_released=is_released, clock=CLOCKS[options.clock]
            )
            fills[name] = lambda batch, network=network: network(*batch[:2]).refined
        reports = measure(faces.batches(), fills, judges, count=len(faces.positions), **faces.about)
        gains = reports["our recipe"].compare(reports["released recipe"])
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"released_recipe: {error}", file=sys.stderr)
        return 2
    shown = [name for name in FIGURES if name in (*gains, *reports["our recipe"].distances)]
    notes = [f"- {name}: {count} steps, {asdict(recipes[name].weights)}" for name, count in steps.items()]
    notes += [
        f"- ours minus released, {name}: {gains[name].mean:+.4f} ({gains[name].low:+.4f} to {gains[name].high:+.4f})"
        for name in shown
        if name in gains
    ]
    about = (
        f"{options.minutes:g} minutes each by the {options.clock} clock, threads: {torch.get_num_threads()}; "
        f"{len(faces.positions)} crops."
    )
    publish([summary_table(list(reports.values()), shown), about, "\n".join(notes)], options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
