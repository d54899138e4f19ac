"""Tensors exchanged between the ranks of ``torch.distributed``."""

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of ranks; 1 without a group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_keys(keys: Tensor) -> Tensor:
    """The (B, D) keys of all ranks in the order of the ranks, (ranks · B, D); gradient flows home to each.

    Raises:
        ValueError: On every rank, when they do not all bring as many keys.
    """
    count = torch.tensor(len(keys), device=keys.device)
    counts = [torch.empty_like(count) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, count)
    sizes = torch.stack(counts).tolist()  # at once: each look at a GPU's number waits for the GPU
    if len(set(sizes)) > 1:
        raise ValueError(
            f"keys from all ranks need one batch size on all ranks; got {sizes}. Use a loader with drop_last=True."
        )
    gathered: Tensor = _AllGather.apply(keys)
    return gathered


class _AllGather(torch.autograd.Function):
    """``all_gather`` whose backward sends every gradient home: the sum over ranks of this rank's slice."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, keys: Tensor) -> Tensor:
        gathered = [torch.empty_like(keys) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, keys.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]
