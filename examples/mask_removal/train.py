"""Train the generator on a set written by ``prepare.py``.

    python -m examples.mask_removal.train --data DIR --output RUN --preset small

A run that was interrupted goes on with the same command, at the step of its last checkpoint. Written into RUN:

    config.json        the configuration
    log.jsonl          every ``log_every`` steps: the terms, learning rate, images per second
    samples/STEP.png   validation faces: input, reference, coarse, refined, truth
    checkpoint.pt      complete state
    generator/         the averaged generator, for ``load_model``: at the end, and whenever a sheet is drawn
"""

import copy
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from tqdm import tqdm

from examples.mask_removal.checkpoint import FILE, load_checkpoint, save_checkpoint
from examples.mask_removal.config import PRESETS, Config, read_config, small
from examples.mask_removal.data import Batch, FaceDataset, batches
from examples.mask_removal.perceptual_networks import build_features
from examples.mask_removal.progress import LOG_FILE, append_line, forget_after, sheet_batch, write_sheet
from examples.mask_removal.steps import discriminator_loss, generator_terms, update_average
from examples.mask_removal.twin import Twin, with_twins
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, composite, save_model, weighted_sum

CONFIG_FILE = "config.json"


@dataclass(frozen=True)
class Arguments:
    """Train the mask-removal generator; an interrupted run is continued by the same command."""

    data: Path
    """Training set written by prepare.py."""
    output: Path
    """Folder of the run."""
    preset: Literal["paper", "small", "smoke"] | None = None
    """Configuration of a new run, by default small; a run that exists keeps the one it began with."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    workers: int = 1
    """Processes that load data; 0 loads in the training process."""
    threads: int | None = None
    """CPU threads of the training process; by default PyTorch's choice."""


def configuration(arguments: Arguments) -> Config:
    """That of the run that is there, or the preset's."""
    path = arguments.output / CONFIG_FILE
    if not path.exists():
        return PRESETS[arguments.preset]() if arguments.preset else small()
    config = read_config(path)
    if arguments.preset and PRESETS[arguments.preset]() != config:
        raise ValueError(
            f"{path}: the run that is there was begun with another configuration than --preset {arguments.preset}. "
            "Leave --preset out to go on with it, or choose another --output."
        )
    return config


def learning_rate_factor(step: int, steps_per_epoch: int, config: Config) -> float:
    """1 for the constant epochs, then linear to 0 at the end of the run."""
    past = step / steps_per_epoch - config.epochs_constant
    return 1.0 if past < 0 else max(0.0, 1.0 - past / config.epochs_decay) if config.epochs_decay else 0.0


def train(arguments: Arguments, config: Config) -> None:
    """The loop, from data to the saved generator."""
    device = _device(arguments.device)
    torch.manual_seed(config.seed)

    # Data
    training = FaceDataset(arguments.data, reference_share=config.reference_share, seed=config.seed)
    validation = FaceDataset(arguments.data, validation=True, reference_share=0.5, seed=config.seed)
    steps_per_epoch = len(training) // config.batch_size
    if not steps_per_epoch:
        raise ValueError(
            f"{arguments.data}: {len(training)} training samples are fewer than a batch of {config.batch_size}."
        )
    steps = math.ceil(steps_per_epoch * (config.epochs_constant + config.epochs_decay))
    if steps <= config.warmup_steps:
        print(
            f"train: warning: {len(training)} training samples make {steps} steps, all within the warm-up of "
            f"{config.warmup_steps}: the adversarial term never runs. This configuration is for a larger set.",
            file=sys.stderr,
        )
    faces_of_sheet = sheet_batch(validation)

    # Networks
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    generator = InpaintGenerator(config.base_channels).to(device, memory_format=layout)
    discriminator = SNPatchDiscriminator(config.discriminator_channels).to(device)
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    features = build_features(config.features).to(device)
    twin = Twin(colour=config.twin_colour, hue=config.twin_hue)

    # Optimizers
    generator_optimizer = torch.optim.Adam(generator.parameters(), config.learning_rate_generator, betas=config.betas)
    discriminator_optimizer = torch.optim.Adam(
        discriminator.parameters(), config.learning_rate_discriminator, betas=config.betas
    )

    # Run: written down now that everything it needs is there
    arguments.output.mkdir(parents=True, exist_ok=True)
    if not (arguments.output / CONFIG_FILE).exists():
        text = json.dumps(config.to_dict(), indent=2) + "\n"
        (arguments.output / CONFIG_FILE).write_text(text, encoding="utf-8")
    preset = next((name for name, preset in PRESETS.items() if preset() == config), "of its own")
    print(f"{arguments.output}: configuration {preset} ({CONFIG_FILE}), {steps} steps.")

    # Resume
    stateful = {
        "generator": generator,
        "discriminator": discriminator,
        "average": average,
        "generator_optimizer": generator_optimizer,
        "discriminator_optimizer": discriminator_optimizer,
    }
    step, seconds = _resume(arguments.output, stateful)
    forget_after(step, arguments.output / LOG_FILE)

    # Loop
    weights = config.to_dict()["weights"]
    progress = tqdm(total=steps, initial=step, unit=" steps", smoothing=0.05, mininterval=1.0, disable=None)
    began = time.perf_counter() - seconds
    logged_step, logged_seconds = step, seconds
    while step < steps:
        epoch, first = divmod(step, steps_per_epoch)
        for loaded in batches(
            training, batch_size=config.batch_size, epoch=epoch, first=first, workers=arguments.workers
        ):
            if step == steps:
                break
            factor = learning_rate_factor(step, steps_per_epoch, config)
            _set_rate(generator_optimizer, config.learning_rate_generator * factor)
            _set_rate(discriminator_optimizer, config.learning_rate_discriminator * factor)
            batch = with_twins(Batch(*(x.to(device) for x in loaded)), twin)
            adversarial = step >= config.warmup_steps

            output = generator(*batch)

            d_loss = torch.zeros(())
            if adversarial:
                fake = composite(output.refined.detach(), batch.image, batch.mask)
                d_loss = discriminator_loss(discriminator, batch, fake)
                discriminator_optimizer.zero_grad()
                d_loss.backward()
                discriminator_optimizer.step()

            discriminator.requires_grad_(False)
            terms = generator_terms(
                output,
                batch,
                discriminator=discriminator if adversarial else None,
                features=features,
                config=config,
            )
            total = weighted_sum(terms, weights)
            generator_optimizer.zero_grad()
            total.backward()
            generator_optimizer.step()
            discriminator.requires_grad_(True)
            update_average(average, generator, min(config.ema_decay, (1 + step) / (10 + step)))

            step += 1
            progress.update()
            if step % config.log_every == 0 or step == steps:
                values = {name: term.item() for name, term in terms.items()} | {"total": total.item()}
                if not math.isfinite(values["total"]):
                    raise FloatingPointError(f"step {step}: the loss is not finite: {values}")
                elapsed = time.perf_counter() - began
                line = {
                    "step": step,
                    "epoch": epoch,
                    "seconds": round(elapsed, 1),
                    "learning_rate": generator_optimizer.param_groups[0]["lr"],
                    "images_per_second": round(
                        (step - logged_step) * config.batch_size / (elapsed - logged_seconds), 2
                    ),
                }
                logged_step, logged_seconds = step, elapsed
                values["discriminator"] = d_loss.item()
                append_line(arguments.output / LOG_FILE, line | {name: round(x, 6) for name, x in values.items()})
                progress.set_postfix(total=f"{values['total']:.3f}", l1=f"{values['reconstruction']:.3f}")
            if step % config.sheet_every == 0 or step == steps:
                write_sheet(arguments.output / "samples" / f"{step:07d}.png", average, faces_of_sheet)
                save_model(average, arguments.output / "generator", dtype=torch.float16, overwrite=True)
            if step % config.checkpoint_every == 0 or step == steps:
                state: dict[str, Any] = {name: thing.state_dict() for name, thing in stateful.items()}
                state |= {"step": step, "seconds": time.perf_counter() - began, "random": torch.get_rng_state()}
                save_checkpoint(arguments.output, state)
    progress.close()
    print(f"{arguments.output / 'generator'}: trained for {steps} steps.")


def _resume(folder: Path, stateful: dict[str, Any]) -> tuple[int, float]:
    """Load the last checkpoint into everything; return its step and the seconds trained so far."""
    state = load_checkpoint(folder)
    if state is None:
        return 0, 0.0
    try:
        for name, thing in stateful.items():
            thing.load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        step, seconds = int(state["step"]), float(state["seconds"])
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"{folder / FILE}: does not fit {folder / CONFIG_FILE}; move it away to start anew: {reason}"
        ) from error
    print(f"{folder}: goes on from step {step}.")
    return step, seconds


def _device(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch built without CUDA
        raise ValueError(f"--device {name}: cannot be used: {str(error).splitlines()[0]}") from error
    return torch.device(name)


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def main() -> int:
    """Command line; returns the exit code."""
    arguments = tyro.cli(Arguments, description=__doc__)
    try:
        if arguments.threads is not None:
            if arguments.threads < 1:
                raise ValueError(f"--threads must be 1 or more; got {arguments.threads}.")
            torch.set_num_threads(arguments.threads)
        train(arguments, configuration(arguments))
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
