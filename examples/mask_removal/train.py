"""Train the generator on a set written by ``prepare.py``.

    python -m examples.mask_removal.train --data SET --output RUN --preset small
    torchrun --nnodes N --nproc-per-node M -m examples.mask_removal.train (the same)

A run that was interrupted goes on with the same command, at the step of its last checkpoint; Ctrl-C and SIGTERM write
one first. Written into RUN:

    config.json        the configuration
    data.json          what the run's set is known by
    log.jsonl          every ``log_every`` steps: the terms, learning rate, images per second, skipped steps
    validation.jsonl   every ``sheet_every`` steps: PSNR, SSIM and LPIPS in the hole; also then:
    samples/STEP.png   validation faces: input, reference, coarse, refined, truth
    sheet.png          one of them over the whole run
    curves.png         everything in the two logs; tensorboard/ has the same
    damaged.txt        samples that could not be read
    checkpoints/       complete states, the last ones and the best
    generator/         the averaged generator, for ``load_model``; best/ the one of the best validation
"""

from examples.mask_removal.needs import needs

if __name__ == "__main__":
    needs(
        "train",
        "tqdm",
        "cv2",
        "mediapipe",
        "PIL",
        "torchvision",
        "lpips",
        "tyro",
        "tensorboard",
        "matplotlib",
        "kornia",
    )

import copy
import sys
from collections import ChainMap
from collections.abc import Sequence

import torch
from torch import nn

from examples.mask_removal.agreement import agree, keep_to_its_set
from examples.mask_removal.arguments import Arguments, parse, write_config
from examples.mask_removal.checkpoint import save_checkpoint, writing_a_run
from examples.mask_removal.config import PRESETS
from examples.mask_removal.data import FaceDataset, is_of_a_lost_loader
from examples.mask_removal.distributed import Ranks, is_alone, own_name, ranks
from examples.mask_removal.feed import Feed
from examples.mask_removal.first_generator import first_generator
from examples.mask_removal.one_line import one_line
from examples.mask_removal.perceptual_networks import LPIPSFeatures, build_features
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.random_state import seed_everything
from examples.mask_removal.resume import collect, resume
from examples.mask_removal.run_lock import only_trainer
from examples.mask_removal.run_log import RunLog
from examples.mask_removal.schedule import learning_rate_factor, total_steps
from examples.mask_removal.step_profile import profile_step
from examples.mask_removal.steps import Networks, discriminator_step, generate, generator_step, update_average
from examples.mask_removal.stopping import Stop, Stopped
from examples.mask_removal.validation import GENERATOR_FOLDER, Validation
from gatedinpaint import SNPatchDiscriminator, composite

MOST_SKIPPED_IN_A_ROW = 50


def train(arguments: Arguments, ranks: Ranks) -> None:
    """The run of one rank, from data to the saved generator."""
    config, run = arguments.config, arguments.output
    seed_everything(config.seed)

    # Data
    training = FaceDataset(
        arguments.data,
        reference_share=config.reference_share,
        placement=config.placement,
        remains_share=config.remains_share,
        seed=config.seed,
        damaged_limit=config.damaged_limit,
    )
    agree(config, training, ranks)
    feed = Feed(training, config, ranks, workers=arguments.workers)
    steps = total_steps(config, feed.steps_per_epoch)
    validation = Validation(arguments.data, config, ranks)

    # Networks
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    generator = ranks.alike(first_generator(arguments).to(ranks.device, memory_format=layout))
    discriminator = ranks.alike(SNPatchDiscriminator(config.discriminator_channels).to(ranks.device))
    average = copy.deepcopy(generator).requires_grad_(False).eval()

    # Losses
    features = build_features(config.features).to(ranks.device) if config.needs_features else nn.Identity()
    vgg = LPIPSFeatures("vgg").to(ranks.device, memory_format=layout) if config.weights.lpips_vgg else None

    # Optimizers, which round the weights for O2; after that the ranks join their gradients
    g_optimizer, d_optimizer = (
        NetworkOptimizer(
            network, precision=config.precision, learning_rate=rate, betas=config.betas, clip_norm=config.clip_norm
        )
        for network, rate in (
            (generator, config.learning_rate_generator),
            (discriminator, config.learning_rate_discriminator),
        )
    )
    networks = Networks(ranks.parallel(generator), ranks.parallel(discriminator), features, vgg)

    if arguments.profile:
        profile_step(networks, (g_optimizer, d_optimizer), average, feed)
        return

    # Resume, with the run to itself
    with only_trainer(run, ranks), writing_a_run(run):
        stateful = {
            "generator": generator,
            "discriminator": discriminator,
            "average": average,
            "generator_optimizer": g_optimizer,
            "discriminator_optimizer": d_optimizer,
        }
        if ranks.is_first:
            keep_to_its_set(run, training, size=validation.size)
        position = resume(run, arguments.resume, stateful, ranks)
        step, best = position.step, position.best
        if ranks.is_first:  # the run is written down now that everything it needs is there
            write_config(run, config)
            _announce(arguments, steps, len(training))

        # Loop
        damaged = ChainMap(training.damaged, validation.damaged)
        d_loss = torch.zeros(())  # the last that was computed
        with RunLog(run, position, steps, config, ranks, damaged) as log, Stop(ranks) as stop:
            for parts in feed.parts(step, steps):
                factor = learning_rate_factor(step, feed.steps_per_epoch, config)
                g_optimizer.set_rate(factor)
                d_optimizer.set_rate(factor)
                adversarial = bool(config.weights.adversarial) and step >= config.warmup_steps
                discriminates = adversarial and step % config.discriminator_every == 0

                # The generator fills the holes. When there are several parts only the discriminator looks at the
                # results, and no graph is kept.
                outputs = []
                if discriminates or len(parts) == 1:
                    with torch.set_grad_enabled(len(parts) == 1):
                        outputs = [generate(networks.generator, part, config.precision) for part in parts]

                # The discriminator's turn: what the generator made comes detached
                if discriminates:
                    pairs = zip(outputs, parts, strict=True)
                    fakes = [composite(output.refined.detach(), part.image, part.mask) for output, part in pairs]
                    d_loss = discriminator_step(networks.discriminator, d_optimizer, parts, fakes, config)

                # The generator's turn: the gradient passes through the discriminator, which keeps none
                output = outputs[0] if len(parts) == 1 else None
                terms, taken = generator_step(networks, g_optimizer, parts, output, config, adversarial=adversarial)
                if taken:
                    update_average(average, g_optimizer.masters, min(config.ema_decay, (1 + step) / (10 + step)))
                if max(g_optimizer.skipped_in_a_row, d_optimizer.skipped_in_a_row) >= MOST_SKIPPED_IN_A_ROW:
                    raise FloatingPointError(f"step {step}: {MOST_SKIPPED_IN_A_ROW} steps in a row were not finite.")

                # Looking back
                step += 1
                log.count(parts)
                if step % config.log_every == 0 or step == steps:
                    figures = {
                        "epoch": (step - 1) // feed.steps_per_epoch,
                        "learning_rate": factor * config.learning_rate_generator,
                        "skipped_generator": g_optimizer.skipped,
                        "skipped_discriminator": d_optimizer.skipped,
                    }
                    log.training(step, terms | {"discriminator": d_loss}, figures)
                if step % config.sheet_every == 0 or step == steps:
                    best = validation.look(average, step, best, run, log)
                stopped = stop.asked()
                if step % config.checkpoint_every == 0 or step == steps or stopped or (best and best[0] == step):
                    state = collect(stateful, position._replace(step=step, seconds=log.seconds, best=best), ranks)
                    if ranks.is_first:
                        save_checkpoint(run, state, keep=config.keep_checkpoints, best=best and best[0])
                    if stopped and step < steps:
                        ranks.largest(0)  # torchrun ends the one that saves soon after another has gone
                        raise Stopped(stopped, step)
        if ranks.is_first:
            print(f"{run / GENERATOR_FOLDER}: trained for {steps} steps.")


def _announce(arguments: Arguments, steps: int, samples: int) -> None:
    config = arguments.config
    changed = f"{arguments.preset}, changed" if arguments.preset else "none"
    preset = next((name for name, preset in PRESETS.items() if preset() == config), changed)
    print(f"{arguments.output}: {steps} steps (preset: {preset}; config.json has every setting).", flush=True)
    if config.weights.adversarial and steps <= config.warmup_steps:
        print(
            f"train: warning: {samples} training samples make {steps} steps, all within the warm-up of "
            f"{config.warmup_steps}: the adversarial term never runs. This configuration is for a larger set.",
            file=sys.stderr,
        )


def main(words: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    try:
        arguments = parse(sys.argv[1:] if words is None else words)
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        with ranks(arguments.device) as place:
            train(arguments, place)
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(f"train: {own_name()}{one_line(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:
        if is_alone(error):
            reason = f"another rank has ended; the cause is there: {one_line(error)}"
        elif is_of_a_lost_loader(error):
            reason = (
                f"{one_line(error)} Perhaps it lacked memory, or shared memory in /dev/shm: give it more, or take "
                "fewer --workers. The same command goes on from the last checkpoint."
            )
        else:
            raise
        print(f"train: {own_name()}{reason}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"train: {own_name()}{stopped}", file=sys.stderr)
        return 128 + stopped.number
    except KeyboardInterrupt:
        print("train: interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
