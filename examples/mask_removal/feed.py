"""Batches as the loop takes them: this rank's share, changed by chance, in the parts that pass the networks."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch.nn import functional as F

from examples.mask_removal.config import Config
from examples.mask_removal.data import Batch, FaceDataset, batches
from examples.mask_removal.distributed import Ranks
from examples.mask_removal.twin import Twin, some_twins, with_twins

_OF_TWINS = 1  # tells the generators of twins from those of samples, which have (seed, epoch, index)
_OF_SIZE = 2


class Feed:
    """From a training set to the parts of every step.

    What a step gets depends on the configuration and the step alone, not on the number of ranks or workers nor on
    where the run was interrupted.

    Args:
        training: the samples.
        config: of the run.
        ranks: among which each batch is divided.
        workers: processes that load.

    Raises:
        ValueError: fewer samples than a batch, or a batch that cannot be divided into equal parts, or halved.
    """

    def __init__(self, training: FaceDataset, config: Config, ranks: Ranks, *, workers: int = 0) -> None:
        self.training, self.config, self.ranks, self.workers = training, config, ranks, workers
        self.part_size = ranks.share(config.batch_size, config.accumulation)
        halves = 0 < config.half_size_share < 1
        multiple = (2 if halves else 1) * (2 if config.weights.lpips_vgg else 1)
        if self.part_size % multiple:
            raise ValueError(
                f"batch_size {config.batch_size} makes parts of {self.part_size}, by processes and accumulation: that "
                f"must be a multiple of {multiple}, because half_size_share and lpips_vgg each take half of every "
                "part. Choose another batch_size or accumulation."
            )
        smallest = self.part_size // (2 if halves else 1) * ranks.world_size
        if config.weights.contrastive and smallest < 2:
            raise ValueError(
                f"batch_size {config.batch_size} in {config.accumulation} parts leaves 1 image to a part: the "
                "contrastive loss needs negatives. Choose a larger batch_size or a smaller accumulation."
            )
        self.twin = Twin(colour=config.twin_colour, hue=config.twin_hue)
        self.steps_per_epoch = len(training) // config.batch_size
        if not self.steps_per_epoch:
            raise ValueError(
                f"{training.root}: {len(training)} training samples are fewer than a batch of {config.batch_size}."
            )

    def parts(self, step: int, end: int) -> Iterator[list[Batch]]:
        """The parts of each step from ``step`` to before ``end``."""
        if step >= end:
            return
        epoch, first = divmod(step, self.steps_per_epoch)
        loaded = batches(
            self.training,
            batch_size=self.config.batch_size,
            epoch=epoch,
            first=first,
            epochs=math.ceil(end / self.steps_per_epoch) - epoch,
            workers=self.workers,
            rank=self.ranks.rank,
            world_size=self.ranks.world_size,
            pin_memory=self.ranks.device.type == "cuda",
        )
        for number, batch in zip(range(step, end), loaded, strict=False):
            yield self._parts(batch, *divmod(number, self.steps_per_epoch))

    def _parts(self, batch: Batch, epoch: int, position: int) -> list[Batch]:
        batch = Batch(*(x.to(self.ranks.device, non_blocking=True) for x in batch))
        first = position * self.config.batch_size + self.ranks.rank * len(batch.image)
        places = range(first, first + len(batch.image))
        part_size = self.part_size
        if self.config.half_size_share:
            chance = np.random.default_rng((self.config.seed, epoch, position, _OF_SIZE)).random()
            if chance < self.config.half_size_share:
                batch = halved(batch)
            else:  # every second one: the same images whoever holds them
                batch, places, part_size = Batch(*(x[::2] for x in batch)), places[::2], part_size // 2
        keys = [(self.config.seed, epoch, place, _OF_TWINS) for place in places]
        pieces = zip(*(torch.split(x, part_size) for x in batch), strict=True)
        changed = with_twins if self.config.weights.contrastive else some_twins
        return [
            changed(Batch(*piece), self.twin, keys[index * part_size :][:part_size])
            for index, piece in enumerate(pieces)
        ]


def halved(batch: Batch) -> Batch:
    """The batch at half its size: a pixel is hole if one of its four is, and the reference is known where all four are.

    Args:
        batch: of even height and width.
    """
    image, mask, reference, known = batch
    known = -F.max_pool2d(-known, 2)
    return Batch(F.avg_pool2d(image, 2), F.max_pool2d(mask, 2), F.avg_pool2d(reference, 2) * known, known)
