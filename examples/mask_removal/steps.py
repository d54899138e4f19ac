"""What happens in one training step: the turn of the discriminator and that of the generator.

A batch comes in ``parts`` that pass the networks one after the other (gradient accumulation), by default in one.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from examples.mask_removal.config import Config
from examples.mask_removal.data import Batch
from examples.mask_removal.distributed import synchronized
from examples.mask_removal.perceptual_networks import LPIPSFeatures
from examples.mask_removal.precision import NetworkOptimizer, Precision, autocast
from examples.mask_removal.terms import discriminator_loss, generator_terms
from gatedinpaint import InpaintOutput, weighted_sum


class Networks(NamedTuple):
    """Those that learn, and the one over whose features the losses measure."""

    generator: nn.Module
    discriminator: nn.Module
    features: nn.Module
    vgg: LPIPSFeatures | None = None
    """For the LPIPS over VGG-16."""


def generate(generator: nn.Module, batch: Batch, precision: Precision) -> InpaintOutput:
    """The generator's output in float32 or wider, whatever it computes in."""
    with autocast(precision, batch.image.device):
        output = generator(*batch)
    return InpaintOutput(*(_at_least_float32(x) for x in output))


def discriminator_step(
    discriminator: nn.Module,
    optimizer: NetworkOptimizer,
    parts: Sequence[Batch],
    fakes: Sequence[Tensor],
    config: Config,
) -> Tensor:
    """Learn to tell the images from the ``fakes``, which come detached; returns the loss."""
    optimizer.zero_grad()
    losses = []
    for index, (part, fake) in enumerate(zip(parts, fakes, strict=True)):
        with synchronized(discriminator, index == len(parts) - 1):
            loss = discriminator_loss(discriminator, part, fake, config) / len(parts)
            optimizer.backward(loss)
        losses.append(loss.detach())
    optimizer.step()
    return torch.stack(losses).sum()


def generator_step(
    networks: Networks,
    optimizer: NetworkOptimizer,
    parts: Sequence[Batch],
    output: InpaintOutput | None,
    config: Config,
    *,
    adversarial: bool,
    terms_of: Callable[..., dict[str, Tensor]] = generator_terms,
) -> tuple[dict[str, Tensor], bool]:
    """Learn from all terms, those of ``terms_of``; returns them, unweighted, and whether the step was taken.

    ``output`` is the generator's, when it has been at the only part already. The discriminator passes the gradient on
    and keeps none: it is called without its wrapper, so that the ranks exchange the generator's gradient alone.
    """
    optimizer.zero_grad()
    discriminator = networks.discriminator
    if isinstance(discriminator, DistributedDataParallel):
        discriminator = discriminator.module
    sums: dict[str, Tensor] = {}
    with _frozen(discriminator):
        for index, part in enumerate(parts):
            with synchronized(networks.generator, index == len(parts) - 1):
                output = output or generate(networks.generator, part, config.precision)
                terms = terms_of(
                    output,
                    part,
                    discriminator=discriminator if adversarial else None,
                    features=networks.features,
                    vgg=networks.vgg,
                    config=config,
                )
                optimizer.backward(weighted_sum(terms, asdict(config.weights)) / len(parts))
            output = None
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach() / len(parts)
    return sums, optimizer.step()


@torch.no_grad()
def update_average(average: nn.Module, weights: Sequence[Tensor], decay: float) -> None:
    """Move every weight of ``average`` towards the network's by 1 − decay."""
    for mean, value in zip(average.parameters(), weights, strict=True):
        mean.lerp_(value, 1 - decay)


@contextlib.contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
