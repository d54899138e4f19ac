"""Photos worked on in several processes, with an error that names the photo a process died of."""

import itertools
import multiprocessing
import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from examples.mask_removal.photo_sources import SourcePhoto
from examples.mask_removal.stopping import interrupts_held_back

Result = TypeVar("Result")


def in_processes(
    work: Callable[[SourcePhoto], Result], items: Iterable[SourcePhoto], workers: int
) -> Generator[Result]:
    """What ``work`` makes of the items, in the order in which it gets done.

    Raises:
        RuntimeError: a worker process died; the message names the photos that the workers had.
    """
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    waiting: dict[Future[Result], SourcePhoto] = {}
    remaining = iter(items)
    try:
        with interrupts_held_back():  # inherited by the workers: Ctrl-C is this process's business
            for _ in range(workers):  # each starts one, since those before it are not idle yet
                pool.submit(os.getpid)
        while True:
            for item in itertools.islice(remaining, 3 * workers - len(waiting)):  # not all: photos from tars are big
                waiting[pool.submit(work, item)] = item
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                result = future.result()
                del waiting[future]
                yield result
    except BrokenProcessPool as error:
        wait(waiting)
        lost = [item.source for future, item in waiting.items() if future.exception()]
        raise RuntimeError(
            f"a worker process died, of lack of memory or of one of: {', '.join(lost[:workers])}. Move that photo away "
            "and run the same command again; with --workers 1 only one photo is named."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
