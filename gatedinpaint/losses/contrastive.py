"""InfoNCE: an embedding must know its twin among all the others."""

from functools import reduce

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from gatedinpaint._autocast import without_autocast
from gatedinpaint._checks import check_float, check_same_shape
from gatedinpaint.losses._ranks import gather_keys, world_size

_MINIMUM_TEMPERATURE = 1e-3


def info_nce_loss(
    query: Tensor,
    key: Tensor,
    *,
    temperature: float = 0.1,
    negatives: Tensor | None = None,
    gather: bool = False,
) -> Tensor:
    r"""Cross-entropy of finding, for each query, its own key among all keys.

    .. math:: L = -\frac{1}{B} \sum_i \log \frac{\exp(q_i \cdot k_i / \tau)}{\sum_j \exp(q_i \cdot k_j / \tau)}

    with q and k scaled to unit length (a zero vector stays zero), and j over the batch's keys and the ``negatives``.
    Computed with autocast off in float32, or in float64 when one of the arguments is.

    With ``gather=True`` the keys of all ranks of ``torch.distributed`` are candidates, and gradient flows back to the
    rank that each came from: the gradient that DDP averages is that of one process with the whole batch. Every rank
    must then call the loss and its backward. ``negatives`` are not gathered. Without a group nothing changes.

    Args:
        query: (B, D) embeddings, any scale; receives gradient.
        key: (B, D), row i the twin of query i; receives gradient (pass ``key.detach()`` to stop it).
        temperature: τ, at least 1e-3.
        negatives: (K, D) further wrong answers for every query, such as those of a :class:`NegativeQueue`; ``None`` for
            the other keys alone.
        gather: whether to take the keys of all ranks.

    Returns:
        A scalar ≥ 0; log(number of candidates) when all embeddings are alike. Float32 or wider.

    Raises:
        TypeError: embeddings that are not floating-point tensors.
        ValueError: shapes that do not belong together, a temperature under 1e-3, no negative at all (one key, and no
            ``negatives``: the loss would be 0 whatever the embeddings), or ranks with different batch sizes.

    Reference:
        van den Oord et al., "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748.

    Departs from the paper:
        The mask-inpainting paper speaks of no negatives, though its formula has K of them: ours are the other keys of
        the batch.

    Example:
        >>> info_nce_loss(torch.eye(2), torch.eye(2), temperature=1.0)  # log(1 + exp(-1))
        tensor(0.3133)
    """
    _check_embeddings(query, key, negatives)
    if not temperature >= _MINIMUM_TEMPERATURE:
        raise ValueError(f"temperature must be at least {_MINIMUM_TEMPERATURE:g}; got {temperature:g}.")
    with without_autocast(query):
        dtypes = [vectors.dtype for vectors in (query, key, negatives) if vectors is not None]
        dtype = reduce(torch.promote_types, dtypes, torch.float32)
        queries, candidates = _unit(query.to(dtype)), _unit(key.to(dtype))
        labels = torch.arange(len(queries), device=query.device)
        if gather and world_size() > 1:
            labels = labels + dist.get_rank() * len(queries)
            candidates = gather_keys(candidates)
        if negatives is not None:
            candidates = torch.cat([candidates, _unit(negatives.to(dtype))])
        if len(candidates) < 2:
            raise ValueError(
                "query needs at least one negative; got a batch of 1 and no negatives. "
                "Use a larger batch, pass negatives=, or gather=True across ranks."
            )
        return F.cross_entropy(queries @ candidates.T / temperature, labels)


class InfoNCELoss(nn.Module):
    """Module form of :func:`info_nce_loss`; ``negatives`` come with each call.

    Example:
        >>> InfoNCELoss(temperature=0.07)
        InfoNCELoss(temperature=0.07, gather=False)
    """

    def __init__(self, *, temperature: float = 0.1, gather: bool = False) -> None:
        super().__init__()
        self.temperature = temperature
        self.gather = gather

    def forward(self, query: Tensor, key: Tensor, *, negatives: Tensor | None = None) -> Tensor:
        return info_nce_loss(query, key, temperature=self.temperature, negatives=negatives, gather=self.gather)

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, gather={self.gather}"


def _unit(vectors: Tensor) -> Tensor:
    # F.normalize multiplies the gradient at a zero vector by 1e12, which no half-precision embedding survives.
    length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return vectors / torch.where(length > 1e-12, length, 1.0)


def _check_embeddings(query: Tensor, key: Tensor, negatives: Tensor | None) -> None:
    check_same_shape(query, key, name="query", other="key")
    if query.ndim != 2 or query.numel() == 0:
        raise ValueError(f"query must be (B, D), with at least one row; got {tuple(query.shape)}.")
    if negatives is not None:
        check_float(negatives, name="negatives")
        if negatives.ndim != 2 or negatives.shape[1] != query.shape[1]:
            raise ValueError(
                f"negatives must be (K, {query.shape[1]}), the width of query; got {tuple(negatives.shape)}."
            )
