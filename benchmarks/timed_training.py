"""Training from scratch for a given time, with the trainer's own steps."""

import copy
import time
from collections.abc import Callable

import torch
from torch import nn
from tqdm import tqdm

from benchmarks.released_code import LeakyPatches, as_released, released_terms
from examples.mask_removal.config import Config
from examples.mask_removal.data import FaceDataset
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.feed import Feed
from examples.mask_removal.first_generator import build_generator
from examples.mask_removal.perceptual_networks import build_features
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.random_state import seed_everything
from examples.mask_removal.steps import Networks, discriminator_step, generate, generator_step, update_average
from examples.mask_removal.terms import generator_terms
from gatedinpaint import SNPatchDiscriminator, composite

Clock = Callable[[], float]
_ENDLESS = 10**9


def train_for(
    data: str, config: Config, seconds: float, *, is_released: bool, clock: Clock = time.perf_counter
) -> tuple[nn.Module, int]:
    """Train for so long; returns the generator as it is used, and the steps taken.

    Ours warms up without the adversarial term for a third of the time and lowers its rates to 0 over the last third.
    """
    seed_everything(config.seed)
    place = Ranks(0, 1, torch.device("cpu"))
    feed = Feed(FaceDataset(data, reference_share=config.reference_share, seed=config.seed), config, place)
    ours = build_generator(config)
    generator: nn.Module = ours
    terms = released_terms if is_released else generator_terms
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
    look = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} < {remaining}{postfix}"
    bar = tqdm(desc="train", total=1.0, bar_format=look, leave=False, disable=None)
    for (part,) in feed.parts(0, _ENDLESS):
        spent = (clock() - began) / seconds
        bar.set_postfix(steps=step, refresh=False)
        bar.update(min(spent, 1.0) - bar.n)
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
        _, taken = generator_step(
            networks, g_optimizer, [part], output, config, adversarial=adversarial, terms_of=terms
        )
        if taken:
            update_average(average, g_optimizer.masters, min(config.ema_decay, (1 + step) / (10 + step)))
        step += 1
    bar.close()
    return average, step
