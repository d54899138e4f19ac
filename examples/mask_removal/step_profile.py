"""What one training step costs, by part."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from examples.mask_removal.config import Config
from examples.mask_removal.data import Batch
from examples.mask_removal.feed import Feed
from examples.mask_removal.precision import NetworkOptimizer
from examples.mask_removal.steps import Networks, generate, update_average
from examples.mask_removal.terms import adversarial_term, discriminator_loss, feature_terms, pixel_terms, vgg_term
from gatedinpaint import InpaintOutput, composite

_REPEATS = 5
PARTS = ("data", "generator", "discriminator", "features", "other losses", "optimizer")


def profile_step(
    networks: Networks, optimizers: Sequence[NetworkOptimizer], average: nn.Module, feed: Feed
) -> dict[str, float]:
    """Time the parts of a few steps, print a table, and return the median seconds by part.

    The backward pass is cut at the generator's output: the gradient of every loss with respect to it is timed with the
    loss, the rest with the generator. So the parts add up to the step. The discriminator's own turn counts by the share
    of steps in which it learns. Both networks are trained by it.
    """
    times: dict[str, list[float]] = {part: [] for part in PARTS}
    images: list[int] = []
    loaded = iter(feed.parts(0, _REPEATS + 1))
    for repeat in range(_REPEATS + 1):
        seconds = dict.fromkeys(PARTS, 0.0)
        parts = _timed(seconds, "data", feed, lambda: next(loaded))
        for part in parts:
            _time_part(seconds, networks, optimizers, part, feed)
        _timed(seconds, "optimizer", feed, lambda: _update(optimizers, average))
        images.append(sum(len(part.image) for part in parts))
        if repeat:  # the first one warms up
            for part_name, value in seconds.items():
                times[part_name].append(value)
    medians = {part: median(values) for part, values in times.items()}
    if feed.ranks.is_first:
        twins = 2 if feed.config.weights.contrastive else 1
        _print(medians, median(images[1:]) * feed.ranks.world_size / twins)
    return medians


def _time_part(
    seconds: dict[str, float], networks: Networks, optimizers: Sequence[NetworkOptimizer], part: Batch, feed: Feed
) -> None:
    config = feed.config
    g_optimizer, d_optimizer = optimizers
    output = _timed(seconds, "generator", feed, lambda: generate(networks.generator, part, config.precision))
    fake = composite(output.refined.detach(), part.image, part.mask)
    adversarial = bool(config.weights.adversarial)

    def discriminate() -> None:
        d_optimizer.backward(discriminator_loss(networks.discriminator, part, fake, config))

    if adversarial:
        own_turn = {"discriminator": 0.0}
        _timed(own_turn, "discriminator", feed, discriminate)
        seconds["discriminator"] += own_turn["discriminator"] / config.discriminator_every

    # The generator's terms, on leaves in the place of its output: each group is timed with its own backward.
    discriminator = getattr(networks.discriminator, "module", networks.discriminator)
    discriminator.requires_grad_(False)
    leaves = InpaintOutput(*(x.detach().requires_grad_() for x in output))
    weights = config.to_dict()["weights"]

    def differentiate(terms: dict[str, Tensor]) -> None:
        if terms:
            g_optimizer.backward(sum(weights[name] * term for name, term in terms.items()))

    for group, terms in (
        ("discriminator", lambda: adversarial_term(leaves, part, discriminator, config) if adversarial else {}),
        ("features", lambda: _of_networks(networks, leaves, part, config)),
        ("other losses", lambda: pixel_terms(leaves, part, config)),
    ):
        _timed(seconds, group, feed, lambda terms=terms: differentiate(terms()))
    discriminator.requires_grad_(True)
    # The first stage by itself leaves no embedding to differentiate.
    reached = [(x, leaf.grad) for x, leaf in zip(output, leaves, strict=True) if x.requires_grad]
    gradients = [torch.zeros_like(x) if gradient is None else gradient for x, gradient in reached]
    _timed(seconds, "generator", feed, lambda: torch.autograd.backward([x for x, _ in reached], gradients))


def _of_networks(networks: Networks, output: InpaintOutput, part: Batch, config: Config) -> dict[str, Tensor]:
    terms = feature_terms(output, part, networks.features, config)
    return terms | vgg_term(output, part, networks.vgg, config) if networks.vgg is not None else terms


def _update(optimizers: Sequence[NetworkOptimizer], average: nn.Module) -> None:
    for optimizer in optimizers:
        if any(parameter.grad is not None for parameter in optimizer.parameters):
            optimizer.step()
        optimizer.zero_grad()
    update_average(average, optimizers[0].masters, 0.999)


def _timed(seconds: dict[str, float], part: str, feed: Feed, run: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = run()
    if feed.ranks.device.type == "cuda":
        torch.cuda.synchronize(feed.ranks.device)
    seconds[part] += time.perf_counter() - began
    return result


def _print(seconds: dict[str, float], images: float) -> None:
    total = sum(seconds.values())
    print(f"{'part':14}  {'ms':>9}  share")
    for part, value in seconds.items():
        print(f"{part:14}  {1000 * value:9.1f}  {value / total:5.0%}")
    print(f"{'step':14}  {1000 * total:9.1f}         {images / total:.2f} images/s")
