"""A prepared training set → batches, the same on any number of ranks and loader processes, from any batch on."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from examples.mask_removal.face_dataset import Batch, Drawn, FaceDataset, too_many

__all__ = ["Batch", "FaceDataset", "batches"]


def batches(
    dataset: FaceDataset,
    *,
    batch_size: int,
    epoch: int,
    first: int = 0,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> Iterator[Batch]:
    """The batches of an epoch in its own random order, from the batch ``first`` on; a last, smaller one is dropped.

    ``batch_size`` is that of all ranks together. Every rank gets an equal share of each batch, in contiguous blocks:
    what the ranks get, concatenated, is the batch that one process would get.

    Damaged samples are replaced, and named in ``dataset.damaged`` before the batch that they are missing from comes.

    Raises:
        ValueError: more than ``dataset.damaged_limit`` of this rank's samples of the epoch are damaged; the ranks
            cannot share a batch equally.
        OSError: the server of a set at a URL is not reached.
    """
    if batch_size % world_size:
        raise ValueError(
            f"batch_size {batch_size} cannot be shared equally by {world_size} ranks; take a multiple of {world_size}."
        )
    dataset.epoch = epoch
    share = batch_size // world_size
    order = np.random.default_rng((dataset.seed, epoch)).permutation(len(dataset))
    order = order[: len(order) // batch_size * batch_size].reshape(-1, world_size, share)[:, rank]
    # The loader draws a base seed when it is iterated: from a generator of its own, not from the global one.
    generator = torch.Generator().manual_seed(dataset.seed)
    loader = DataLoader(
        _Draws(dataset),
        share,
        sampler=_Order([int(position) for position in order[first:].ravel()]),
        num_workers=workers,
        collate_fn=_collate,
        generator=generator,
        multiprocessing_context="spawn" if workers else None,
        worker_init_fn=_one_thread,
    )
    replaced = 0
    try:
        for drawn in loader:
            dataset.damaged |= {id: why for id, why in drawn.damaged.items() if id not in dataset.damaged}
            replaced += drawn.replaced
            if replaced > dataset.damaged_limit * order.size:
                raise ValueError(too_many(replaced, order.size, dataset.damaged_limit, dataset.damaged))
            yield drawn.batch
    except (ValueError, OSError) as error:
        # A worker hands over its whole traceback as the message, which ends in the error itself.
        last = str(error).strip().splitlines()[-1]
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(last.removeprefix(f"{kind.__name__}: ")) from error


class _Draws(Dataset[Drawn]):
    """What the loader loads: samples with what was found damaged, so that it travels from the workers."""

    def __init__(self, dataset: FaceDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, position: int) -> Drawn:
        return self.dataset.draw(position)


def _collate(samples: list[Drawn]) -> Drawn:
    batch = Batch(*(torch.stack(tensors) for tensors in zip(*(sample.batch for sample in samples), strict=True)))
    damaged = {id: why for sample in samples for id, why in sample.damaged.items()}
    return Drawn(batch, damaged, sum(sample.replaced for sample in samples))


class _Order(Sampler[int]):
    def __init__(self, positions: Sequence[int]) -> None:
        self.positions = positions

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions)

    def __len__(self) -> int:
        return len(self.positions)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
