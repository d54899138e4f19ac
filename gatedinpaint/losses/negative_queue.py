"""A memory of past keys: many negatives for :func:`info_nce_loss` without a large batch."""

import torch
from torch import Tensor, nn

from gatedinpaint._checks import check_float
from gatedinpaint.losses._ranks import gather_keys, world_size


class NegativeQueue(nn.Module):
    """The last ``size`` keys; the oldest leave first.

    Pass :attr:`negatives` to the loss, then :meth:`enqueue` the keys of the step, so that no key meets itself. Keys are
    kept detached in float32. They are part of the state dict, so a resumed run has the queue that it left.

    Under an initialised ``torch.distributed`` group the keys of all ranks are enqueued on every rank, in the order of
    the ranks: all ranks hold one queue, that of one process with the whole batch. Every rank must then call
    :meth:`enqueue` with as many keys.

    Args:
        dim: width D of a key.
        size: number of keys kept.

    Raises:
        ValueError: a ``dim`` or ``size`` below 1; in :meth:`enqueue` keys that are not (B, dim) or not finite, or ranks
            with different numbers of keys.
        TypeError: in :meth:`enqueue`, keys that are not a floating-point tensor.

    Reference:
        He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020.

    Departs from the paper:
        MoCo starts with random keys; this one starts empty and grows, so that no negative is made up. Keys of MoCo
        come from a slowly moving encoder. Keys of a network in training are of an earlier state of it: keep the queue
        so short that they are not yet stale.

    Example:
        >>> queue = NegativeQueue(dim=2, size=3)
        >>> queue.enqueue(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
        >>> queue.enqueue(torch.tensor([[3.0, 0.0], [4.0, 0.0]]))
        >>> queue.negatives[:, 0]  # of four keys the last three
        tensor([2., 3., 4.])
    """

    keys: Tensor
    enqueued: Tensor

    def __init__(self, dim: int, size: int) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("size", size)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more; got {value}.")
        self.register_buffer("keys", torch.zeros(size, dim, dtype=torch.float32))
        self.register_buffer("enqueued", torch.zeros((), dtype=torch.int64))  # ever: the ring's next row is this % size

    @property
    def negatives(self) -> Tensor:
        """(K, dim) with K from 0 to ``size``, oldest first: a copy, which later keys do not change."""
        enqueued, size = int(self.enqueued), len(self.keys)
        next_row = enqueued % size
        kept = self.keys[:0] if enqueued < size else self.keys[next_row:]
        return torch.cat([kept, self.keys[:next_row]])

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Add (B, dim) keys, row after row, in place of the oldest."""
        size, dim = self.keys.shape
        check_float(keys, name="keys")
        if keys.ndim != 2 or keys.shape[1] != dim:
            raise ValueError(f"keys must be (B, {dim}), the dim of the queue; got {tuple(keys.shape)}.")
        keys = keys.detach().to(self.keys.dtype)
        if world_size() > 1:
            keys = gather_keys(keys)
        # After the exchange, so that every rank raises and none waits: in the queue one NaN spoils every later loss.
        if not keys.isfinite().all():
            raise ValueError("keys must be finite; got NaN or infinity. Leave out the step whose embeddings are not.")
        rows = self.enqueued + torch.arange(len(keys), device=self.keys.device)
        self.keys[rows[-size:] % size] = keys[-size:]
        self.enqueued += len(keys)

    def extra_repr(self) -> str:
        size, dim = self.keys.shape
        return f"dim={dim}, size={size}"
