"""A prepared training set → batches, the same on any number of ranks and loader processes, from any batch on."""

import contextlib
import multiprocessing
from collections.abc import Iterator
from functools import partial
from multiprocessing.synchronize import Event

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from examples.mask_removal.face_dataset import Batch, Drawn, FaceDataset, too_many
from examples.mask_removal.stopping import interrupts_held_back, leave_stopping_to_the_trainer

__all__ = ["Batch", "FaceDataset", "batches", "is_of_a_lost_loader"]


def batches(
    dataset: FaceDataset,
    *,
    batch_size: int,
    epoch: int,
    first: int = 0,
    epochs: int = 1,
    workers: int = 0,
    rank: int = 0,
    world_size: int = 1,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """The batches of some epochs, each in its own random order; a last, smaller batch of an epoch is dropped.

    ``batch_size`` is that of all ranks together. Every rank gets an equal share of each batch, in contiguous blocks:
    what the ranks get, concatenated, is the batch that one process would get.

    Damaged samples are replaced, and named in ``dataset.damaged`` before the batch that they are missing from comes.

    Args:
        dataset: the samples.
        batch_size: samples in a batch.
        epoch: the first one.
        first: its batch to begin with.
        epochs: how many to go through; the loader processes live through all of them.
        workers: loader processes; 0 loads in this one.
        rank: this process's, of ``world_size``.
        world_size: processes that share each batch.
        pin_memory: lay batches where a GPU fetches them fastest.

    Raises:
        ValueError: more than ``dataset.damaged_limit`` of this rank's samples of an epoch are damaged; the ranks
            cannot share a batch equally.
        OSError: the server of a set at a URL is not reached.
    """
    if batch_size % world_size:
        raise ValueError(
            f"batch_size {batch_size} cannot be shared equally by {world_size} ranks; take a multiple of {world_size}."
        )
    share, length = batch_size // world_size, len(dataset) // batch_size
    places = _places(
        dataset, range(epoch, epoch + epochs), first, batch_size=batch_size, rank=rank, world_size=world_size
    )
    context = multiprocessing.get_context("spawn") if workers else None
    ended = context.Event() if context else None
    loader = DataLoader(
        _Draws(dataset),
        share,
        sampler=places,
        num_workers=workers,
        collate_fn=_collate,
        # It draws a base seed when it is iterated: from a generator of its own, not from the global one.
        generator=torch.Generator().manual_seed(dataset.seed),
        multiprocessing_context=context,
        worker_init_fn=partial(_begin, ended) if ended else None,
        pin_memory=pin_memory,
    )
    replaced = 0
    try:
        with interrupts_held_back() if workers else contextlib.nullcontext():
            loaded = iter(loader)  # starts the loader processes
        for number, drawn in enumerate(loaded, start=first):
            replaced = drawn.replaced + (replaced if number % length else 0)  # of this epoch
            dataset.damaged |= {id: why for id, why in drawn.damaged.items() if id not in dataset.damaged}
            if replaced > dataset.damaged_limit * share * length:
                raise ValueError(too_many(replaced, share * length, dataset.damaged_limit, dataset.damaged))
            yield drawn.batch
    except (ValueError, OSError) as error:
        # A worker hands over its whole traceback as the message, which ends in the error itself.
        last = str(error).strip().splitlines()[-1]
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(last.removeprefix(f"{kind.__name__}: ")) from error
    finally:
        if ended:
            ended.set()  # before ``loaded`` goes, and with it the processes


def is_of_a_lost_loader(error: RuntimeError) -> bool:
    """Whether an error says that a loader process was killed, which PyTorch raises wherever the trainer is."""
    return "DataLoader worker" in str(error)


class _Draws(Dataset[Drawn]):
    """What the loader loads: samples with what was found damaged, so that it travels from the workers."""

    def __init__(self, dataset: FaceDataset) -> None:
        self.dataset = dataset

    def __getitem__(self, place: tuple[int, int]) -> Drawn:
        self.dataset.epoch, position = place
        return self.dataset.draw(position)


def _places(
    dataset: FaceDataset, epochs: range, first: int, *, batch_size: int, rank: int, world_size: int
) -> Iterator[tuple[int, int]]:
    """Epoch and position of each sample of a rank, from the batch ``first`` of the first epoch on."""
    length = len(dataset) // batch_size
    for epoch in epochs:
        order = np.random.default_rng((dataset.seed, epoch)).permutation(len(dataset))[: length * batch_size]
        own = order.reshape(length, world_size, batch_size // world_size)[:, rank]
        for position in own[first if epoch == epochs.start else 0 :].ravel():
            yield epoch, int(position)


def _collate(samples: list[Drawn]) -> Drawn:
    batch = Batch(*(torch.stack(tensors) for tensors in zip(*(sample.batch for sample in samples), strict=True)))
    damaged = {id: why for sample in samples for id, why in sample.damaged.items()}
    return Drawn(batch, damaged, sum(sample.replaced for sample in samples))


def _begin(ended: Event, _: int) -> None:
    leave_stopping_to_the_trainer(ended)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
