"""Ctrl-C, and the SIGTERM by which clusters take a machine back: the step is finished and saved, then the run ends."""

import contextlib
import signal
from collections.abc import Iterator
from multiprocessing import resource_tracker
from multiprocessing.synchronize import Event
from types import FrameType, TracebackType
from typing import Self

from examples.mask_removal.distributed import Ranks

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(Exception):
    """The run was asked to end, which is no error."""

    def __init__(self, number: int, step: int | None = None) -> None:
        self.number, self.step = number, step
        saved = "the last checkpoint" if step is None else f"step {step}, which is saved"
        super().__init__(f"stopped by {signal.Signals(number).name}; the same command goes on from {saved}.")


class Stop:
    """While this context is open the two signals are noted, and do nothing else.

    Every rank has one and asks at the same points. Alone, a second Ctrl-C ends the program at once; ``torchrun``, which
    passes on what the terminal has sent already, ends its processes itself when they take too long.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.number = 0

    def asked(self) -> int:
        """The signal that reached any of the ranks, on all of them the same; 0 for none."""
        heard = self.ranks.largest(self.number)
        self.number = self.number or heard  # one that came meanwhile is for the next time
        return heard

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        if self.number and isinstance(error, RuntimeError):  # a process that the same signal ended is missing
            raise Stopped(self.number) from error

    def _note(self, number: int, _: FrameType | None) -> None:
        self.number = number
        if self.ranks.world_size == 1:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """A process started within never hears Ctrl-C, from its birth on; this one hears it when the context ends.

    A loader process imports for seconds before it can call ``leave_stopping_to_the_trainer``.
    """
    resource_tracker.ensure_running()  # whose start, which is that of the first process, would let the signal through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_stopping_to_the_trainer(ended: Event) -> None:
    """In a loader process, which gets the signals of its whole group, and some twice, from the cluster and from
    ``torchrun``: the trainer, which would fall with it, gets its batches until it has ended, and then may end this.

    Args:
        ended: set by the trainer when it needs no more.
    """

    def end(number: int, _: FrameType | None) -> None:
        if ended.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
