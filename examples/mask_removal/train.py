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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from tqdm import tqdm

from examples.mask_removal.checkpoint import load_checkpoint, save_checkpoint
from examples.mask_removal.config import PRESETS, Config, from_dict
from examples.mask_removal.data import Batch, FaceDataset, batches
from examples.mask_removal.perceptual_networks import build_features
from examples.mask_removal.sheet import picture_sheet
from examples.mask_removal.steps import discriminator_loss, generator_terms, update_average, weighted_sum
from examples.mask_removal.twin import Twin, with_twins
from gatedinpaint import InpaintGenerator, SNPatchDiscriminator, composite, image_to_photo, save_model, write_photo

_SHEET_ROWS = 8


@dataclass(frozen=True)
class Arguments:
    """Train the mask-removal generator; an interrupted run is continued by the same command."""

    data: Path
    """Training set written by prepare.py."""
    output: Path
    """Folder of the run."""
    preset: Literal["paper", "small", "smoke"] = "small"
    """Configuration to start from; a run that exists keeps the one it began with."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    workers: int = 1
    """Processes that load data; 0 loads in the training process."""
    threads: int | None = None
    """CPU threads of the training process; by default PyTorch's choice."""


def learning_rate_factor(step: int, steps_per_epoch: int, config: Config) -> float:
    """1 for the constant epochs, then linear to 0 at the end of the run."""
    past = step / steps_per_epoch - config.epochs_constant
    return 1.0 if past < 0 else max(0.0, 1.0 - past / config.epochs_decay) if config.epochs_decay else 0.0


def train(arguments: Arguments, config: Config) -> None:
    """The loop, from data to the saved generator."""
    device = torch.device(arguments.device)
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
    sheet_batch = Batch(
        *(torch.stack(x) for x in zip(*(validation[i] for i in _sheet_positions(validation)), strict=True))
    )

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

    # Resume
    stateful = {
        "generator": generator,
        "discriminator": discriminator,
        "average": average,
        "generator_optimizer": generator_optimizer,
        "discriminator_optimizer": discriminator_optimizer,
    }
    step, seconds = _resume(arguments.output, stateful)

    # Loop
    weights = config.to_dict()["weights"]
    progress = tqdm(total=steps, initial=step, unit=" steps", smoothing=0.05, mininterval=1.0, disable=None)
    began = time.perf_counter() - seconds
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
                line = {"step": step, "epoch": epoch, "seconds": round(elapsed, 1), "rate_factor": round(factor, 4)}
                values["discriminator"] = d_loss.item()
                _append(arguments.output / "log.jsonl", line | {name: round(x, 6) for name, x in values.items()})
                progress.set_postfix(total=f"{values['total']:.3f}", l1=f"{values['reconstruction']:.3f}")
            if step % config.sheet_every == 0 or step == steps:
                _write_sheet(arguments.output / "samples" / f"{step:07d}.png", average, sheet_batch)
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
    for name, thing in stateful.items():
        thing.load_state_dict(state[name])
    torch.set_rng_state(state["random"])
    print(f"{folder}: goes on from step {state['step']}.")
    return state["step"], state["seconds"]


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _sheet_positions(validation: FaceDataset) -> list[int]:
    count = min(_SHEET_ROWS, len(validation))
    return [round(position * (len(validation) - 1) / max(1, count - 1)) for position in range(count)]


@torch.no_grad()
def _write_sheet(path: Path, generator: InpaintGenerator, batch: Batch) -> None:
    path.parent.mkdir(exist_ok=True)
    device = next(generator.parameters()).device
    output = generator(*(x.to(device) for x in batch))
    output = type(output)(*(x.cpu() for x in output))
    rows = []
    for row in range(len(batch.image)):
        image, mask, reference = (x[row : row + 1] for x in batch[:3])
        filled = [composite(stage[row : row + 1], image, mask) for stage in (output.coarse, output.refined)]
        rows.append([image_to_photo(x) for x in (image * (1 - mask), reference, *filled, image)])
    titles = ("input", "reference", "coarse", "refined", "truth")
    write_photo(path, picture_sheet(rows, titles=titles), overwrite=True)


def main() -> int:
    """Command line; returns the exit code."""
    arguments = tyro.cli(Arguments, description=__doc__)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    config_file = arguments.output / "config.json"
    try:
        if config_file.exists():
            config = from_dict(json.loads(config_file.read_text(encoding="utf-8")))
        else:
            config = PRESETS[arguments.preset]()
            config_file.write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
        train(arguments, replace(config))
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train: interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
