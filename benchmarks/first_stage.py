"""The two first stages of the generator, each trained by itself for the same time on the same data.

    python -m benchmarks.first_stage --data SET --minutes 4 [--limit N] [--output FILE]

By the L1 loss alone, from scratch, one after the other; then both fill the holes of the held-out people without a
reference. The minutes are of processor time, so that other work on the machine does not decide.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks.tables import add_output, publish
from benchmarks.timed_training import train_for
from examples.mask_removal.config import Config, LossWeights, small_start
from examples.mask_removal.evaluate import measure
from examples.mask_removal.held_out import HeldOut
from gatedinpaint.metrics import summary_table

STAGES = {"dilated": "CoarseNet", "unet": "CoarseUNet"}


def recipe(stage: str, precision: str = "fp32", batch_size: int = 16) -> Config:
    """One stage, by L1 alone."""
    return replace(
        small_start(),
        coarse=stage,
        coarse_only=True,
        weights=LossWeights(adversarial=0.0, total_variation=0.0, contrastive=0.0, perceptual=0.0, style=0.0),
        precision=precision,
        batch_size=batch_size,
        learning_rate_generator=2e-3,
        betas=(0.9, 0.999),
        clip_norm=3.0,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="first_stage", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="training set written by examples.mask_removal.prepare")
    parser.add_argument("--minutes", type=float, required=True, help="of processor time, for each of the two")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="number format of training")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--limit", type=int, help="measure on so many held-out faces only")
    add_output(parser)
    options = parser.parse_args(arguments)
    try:
        faces, fills, about = HeldOut(options.data, limit=options.limit), {}, []
        for stage, name in STAGES.items():
            config = recipe(stage, options.precision, options.batch_size)
            network, steps = train_for(
                options.data, config, 60 * options.minutes, is_released=False, clock=time.process_time
            )
            fills[name] = lambda batch, network=network: network(*batch[:2]).coarse
            weights = sum(parameter.numel() for parameter in network.coarse.parameters())
            about.append(f"{name}: {weights:,} parameters, {steps} steps")
        reports = measure(faces.batches(), fills, [], count=len(faces.positions), **faces.about)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"first_stage: {error}", file=sys.stderr)
        return 2
    conditions = (
        f"{options.minutes:g} minutes of processor time each, threads: {torch.get_num_threads()}, {options.precision}; "
        f"{len(faces.positions)} crops. {'; '.join(about)}."
    )
    publish([summary_table(list(reports.values()), ["PSNR hole", "SSIM hole"]), conditions], options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
