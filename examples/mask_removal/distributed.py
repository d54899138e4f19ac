"""Several processes train one network: start, stop, and who is who.

``torchrun`` starts the processes and tells each its place through the environment; without it there is one. All that
training does with the group is here, but for the two losses whose mean over ranks is not that of the batch
(``gather=True`` and ``normalize="area"`` see to it themselves).
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Ranks:
    """This process's place among those that train together."""

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def share(self, batch_size: int, accumulation: int = 1) -> int:
        """Images of a global batch that pass this process's networks at once.

        Raises:
            ValueError: the batch cannot be divided so.
        """
        share, rest = divmod(batch_size, self.world_size * accumulation)
        if rest:
            raise ValueError(
                f"batch_size {batch_size} must be a multiple of ranks × accumulation "
                f"({self.world_size} × {accumulation}). Choose another batch_size or number of processes."
            )
        return share

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, its gradients averaged over the ranks at the end of backward.

        Every parameter must take part in the loss. A network that only passes a gradient on (the discriminator in the
        generator's turn) is called as it is, not through this wrapper, and then nothing is exchanged.
        """
        return network if self.world_size == 1 else DistributedDataParallel(network)

    def alike(self, network: nn.Module) -> nn.Module:
        """The network with the first rank's weights; every rank calls this.

        Each has drawn or read its own: another kind of processor may draw other last bits, another disk hold another
        file. ``DistributedDataParallel`` sees to the network alone, not to copies that were taken before.
        """
        if self.world_size > 1:
            for tensor in network.state_dict().values():
                dist.broadcast(tensor, 0)
        return network

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sums over the ranks, by name; every rank calls this and gets the same."""
        if self.world_size == 1:
            return dict(values)
        total = torch.tensor(list(values.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return dict(zip(values, total.tolist(), strict=True))

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """Means over the ranks, by name."""
        return {name: value / self.world_size for name, value in self.sum(values).items()}

    def gather(self, thing: Any) -> list[Any]:
        """Every rank's thing, in the order of the ranks."""
        if self.world_size == 1:
            return [thing]
        things: list[Any] = [None] * self.world_size
        dist.all_gather_object(things, thing)
        return things

    def largest(self, number: int) -> int:
        """The largest of the ranks' numbers, on all of them; no rank goes on before all have called this."""
        if self.world_size == 1:
            return number
        largest = torch.tensor(number, device=self.device)
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        return int(largest)


@contextlib.contextmanager
def ranks(device: str) -> Iterator[Ranks]:
    """Join the group that ``torchrun`` started, and leave it at the end; without ``torchrun`` there is one rank.

    NCCL joins GPUs, each rank its own; gloo joins CPU processes. With an error the group is not left: that is a
    collective call in NCCL, and would wait for ranks that wait for this one, so that ``torchrun`` never saw it end.

    Raises:
        ValueError: the device cannot be used.
    """
    rank, world_size, local_rank = (int(os.environ.get(name, default)) for name, default in _PLACE.items())
    place = device_of(device, local_rank, alone=world_size == 1)
    _try_out(place)
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if world_size > 1:
        _join("nccl" if place.type == "cuda" else "gloo", rank, world_size)
    yield Ranks(rank, world_size, place)
    if world_size > 1:
        dist.destroy_process_group()


def is_alone(error: BaseException) -> bool:
    """Whether an error is that of a collective call which another rank did not answer, because it has ended."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def own_name() -> str:
    """``"rank 3: "`` at the beginning of what one of several ranks has to say; empty for one alone."""
    return f"rank {os.environ['RANK']}: " if int(os.environ.get("WORLD_SIZE", "1")) > 1 else ""


@contextlib.contextmanager
def synchronized(network: nn.Module, now: bool) -> Iterator[None]:
    """Average the gradients over the ranks at the end of this forward and backward, or only add them up here."""
    if now or not isinstance(network, DistributedDataParallel):
        yield
    else:
        with network.no_sync():
            yield


_PLACE = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}


def _join(backend: str, rank: int, world_size: int) -> None:
    """Become part of the group.

    torchrun keeps one store for all its restarts, in which a restarted rank would find the addresses of dead processes
    (pytorch issue 135712): on one machine every attempt gets its own corner of it. Machines count their restarts each
    for itself; for several of them the store must not be shared, TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1.
    """
    shared = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if not shared or os.environ["GROUP_WORLD_SIZE"] != "1":
        dist.init_process_group(backend)
        return
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    attempt = dist.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    dist.init_process_group(backend, store=attempt, rank=rank, world_size=world_size)


def device_of(name: str, local_rank: int, *, alone: bool) -> torch.device:
    """The device of one process: ``"cuda"`` is the GPU of its number on this machine.

    Raises:
        ValueError: no name of a device, or one GPU for several processes.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"--device {name}: cannot be used: {str(error).splitlines()[0]}") from error
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", local_rank)
    if device.type == "cuda" and not alone:
        raise ValueError(f"--device {name}: several processes need a GPU each. Give --device cuda.")
    return device


def _try_out(device: torch.device) -> None:
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: PyTorch without CUDA
        raise ValueError(f"--device {device}: cannot be used: {str(error).splitlines()[0]}") from error
