"""Other weights for what is filled with a reference, as changes that have few weights of their own."""

import copy
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn


class Stages(Protocol):
    """What has the two stages of a generator."""

    @property
    def coarse(self) -> nn.Module:
        """The first one."""

    @property
    def refine(self) -> nn.Module:
        """The second one."""


class OwnStages(nn.Module):
    """The stages that a generator fills with a reference by, a network each."""

    def __init__(self, coarse: nn.Module, refine: nn.Module) -> None:
        super().__init__()
        self.coarse, self.refine = coarse, refine

    def stages(self, plain: Stages) -> "OwnStages":
        """These, whatever ``plain`` has."""
        return self


class LowRankUpdates(nn.Module):
    r"""For every weight of a network a change; that of a filter bank has the rank r in both of its channels:

    .. math::
        \Delta_{oikl} = \sum_{p=1}^{r} \sum_{q=1}^{r} U_{op}\, C_{pqkl}\, V_{iq}

    At first C = 0, so that nothing changes, and the columns of U and V are orthonormal. A side of no more than r
    channels has no U or V; where all of that would be no fewer numbers than the filters, there is a number for each, as
    there is for every bias.

    Args:
        weights: the names and weights of the network, which is not kept.
        rank: r, at least 1.

    Raises:
        ValueError: a rank below 1, or no whole number.

    Reference:
        Changes of low rank to weights that stay: Hu et al., "LoRA", ICLR 2022. The form is Tucker-2, of Kim et al.,
        "Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile Applications", ICLR 2016.

    Example:
        >>> layer = nn.Conv2d(64, 64, 3)
        >>> updates = LowRankUpdates(layer.named_parameters(), rank=4)
        >>> sum(x.numel() for x in layer.parameters()), sum(x.numel() for x in updates.parameters())
        (36928, 720)
        >>> x = torch.randn(1, 64, 5, 5)
        >>> torch.equal(updates.applied(layer)(x), layer(x))
        True
    """

    _kept: tuple[object, OwnStages] | None = None

    def __init__(self, weights: Iterable[tuple[str, Tensor]], rank: int) -> None:
        super().__init__()
        if not (type(rank) is int and rank >= 1):
            raise ValueError(f"rank must be a whole number of 1 or more; got {rank!r}.")
        self.changes = nn.ModuleDict({_key(name): _Change(weight.shape, rank) for name, weight in weights})

    def applied(self, network: nn.Module, prefix: str = "") -> nn.Module:
        """A copy of the network with the changed weights. Gradients reach its weights and the updates alike.

        Args:
            network: the one whose names were given, or the part of it that they call ``prefix``.
            prefix: for example ``"refine."``.
        """
        changed: dict[int, object] = {}
        for name, weight in network.named_parameters():
            with torch.autocast(weight.device.type, enabled=False):  # a small change is not to be rounded
                changed[id(weight)] = weight + self.changes[_key(prefix + name)]()
        return copy.deepcopy(network, changed)

    def stages(self, plain: Stages) -> OwnStages:
        """Those of ``plain``, changed. Where nothing is being trained, they are kept until a weight changes."""
        weights = [x for part in (self, plain.coarse, plain.refine) for x in part.parameters()]
        traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
        if traced or any(x.requires_grad or x.is_inference() for x in weights):
            return self._stages(plain)  # none of these counts its changes, an optimizer that is fused included
        key = tuple((x.data_ptr(), x._version, x.dtype, x.device) for x in weights)
        if self._kept is None or self._kept[0] != key:
            with torch.inference_mode(False), torch.no_grad():  # they serve for gradients of the image too
                self._kept = (key, self._stages(plain))
        return self._kept[1]

    @torch.no_grad()
    def take_(self, before: nn.Module, after: nn.Module) -> None:
        """Become what makes ``after`` of ``before``, cut down to the rank.

        U and V are the first left singular vectors of the change, unfolded along its outer and its inner channels.
        """
        others = dict(after.named_parameters())
        for name, weight in before.named_parameters():
            if _key(name) in self.changes:
                change = self.changes[_key(name)]
                assert isinstance(change, _Change)
                change.take_(others[name] - weight)

    def _stages(self, plain: Stages) -> OwnStages:
        return OwnStages(self.applied(plain.coarse, "coarse."), self.applied(plain.refine, "refine."))

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in super().__getstate__().items() if name != "_kept"}  # type: ignore[no-untyped-call]


Guided = OwnStages | LowRankUpdates
"""What knows the stages that a generator fills with a reference by."""


def merge_updates(network: nn.Module) -> None:
    """Give every generator in a network both its weights for good: nothing is added at a pass then."""
    for module in list(network.modules()):
        if isinstance(updates := getattr(module, "guided", None), LowRankUpdates):
            module.guided = updates.stages(module)  # type: ignore[arg-type]
            for part in module.guided.modules():
                for name, weight in part._parameters.items():
                    if weight is not None:  # None: no bias
                        part._parameters[name] = nn.Parameter(weight.detach(), requires_grad=False)


class _Change(nn.Module):
    """That of one weight."""

    def __init__(self, shape: torch.Size, rank: int) -> None:
        super().__init__()
        self.outer: nn.Parameter | None = None
        self.inner: nn.Parameter | None = None
        core = list(shape)
        if len(shape) == 4:
            core[:2] = (min(size, rank) for size in shape[:2])
            of_bases = sum(size * rank for size in shape[:2] if size > rank)
            if of_bases + torch.Size(core).numel() < shape.numel():
                self.outer, self.inner = (_basis(size, rank) if size > rank else None for size in shape[:2])
            else:
                core = list(shape)
        self.core = nn.Parameter(torch.zeros(core))

    def forward(self) -> Tensor:
        """The change, of the weight's shape."""
        return _times(_times(self.core, self.outer, 0), self.inner, 1)

    def take_(self, change: Tensor) -> None:
        """Become ``change``, cut down."""
        for side, basis in enumerate((self.outer, self.inner)):
            if basis is not None:
                vectors = torch.linalg.svd(change.transpose(0, side).flatten(1), full_matrices=False).U
                basis.copy_(vectors[:, : basis.shape[1]])
        for side, basis in enumerate((self.outer, self.inner)):
            change = change if basis is None else _times(change, basis.T, side)
        self.core.copy_(change)


def _basis(size: int, rank: int) -> nn.Parameter:
    basis = torch.empty(size, rank)
    return nn.Parameter(basis if basis.is_meta else nn.init.orthogonal_(basis))


def _times(x: Tensor, matrix: Tensor | None, side: int) -> Tensor:
    """The matrix times x along that side; x itself without one."""
    return x if matrix is None else torch.tensordot(matrix, x, dims=([1], [side])).transpose(0, side)


def _key(name: str) -> str:
    return name.replace(".", "/")  # a module's name has no dots
