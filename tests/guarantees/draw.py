"""Arguments for any subject: drawn from a seed, in every size, type and memory layout."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map


@dataclass(frozen=True)
class Draw:
    """What the arguments of one call have in common; each method draws one of them."""

    batch: int = 2
    size: tuple[int, int] = (8, 8)
    dtype: torch.dtype = torch.float32
    scale: float = 1.0
    hole: float = 0.25  # share of hole pixels; 0 and 1 are exact
    seed: int = 0
    generator: torch.Generator = field(default_factory=torch.Generator, compare=False, repr=False)

    def fresh(self) -> "Draw":
        """The same draw from the start."""
        return replace(self, generator=torch.Generator().manual_seed(self.seed))

    def map(self, channels: int, *, shrink: int = 1) -> Tensor:
        """(B, C, H, W) of normal values."""
        height, width = (max(side // shrink, 1) for side in self.size)
        return self._normal(self.batch, channels, height, width)

    def image(self) -> Tensor:
        """(B, 3, H, W), uniform in [-scale, scale] and never beyond [-1, 1]."""
        noise = torch.rand(self.batch, 3, *self.size, generator=self.generator, dtype=torch.float64)
        return ((2 * noise - 1) * min(self.scale, 1.0)).to(self.dtype)

    def mask(self, *, enlarge: int = 1) -> Tensor:
        """(B, 1, H, W) in {0, 1}: a box in every sample."""
        mask = torch.zeros(self.batch, 1, *(enlarge * side for side in self.size), dtype=self.dtype)
        for sample in mask[:, 0]:
            box = [round(self.hole**0.5 * side) for side in sample.shape]
            spare = (full - side + 1 for full, side in zip(sample.shape, box, strict=True))
            top, left = (int(torch.randint(count, (), generator=self.generator)) for count in spare)
            sample[top : top + box[0], left : left + box[1]] = 1
        return mask

    def vectors(self, width: int) -> Tensor:
        return self._normal(self.batch, width)

    def scalar(self) -> Tensor:
        return self._normal(1)[0]

    def points(self, *, scale: float = 1.0) -> Tensor:
        """Five points (x, y) around a square's corners and centre, in no special position."""
        square = torch.tensor([[0, 0], [6, 0], [0, 6], [6, 6], [3, 3]], dtype=self.dtype)
        noise = torch.rand(5, 2, generator=self.generator, dtype=torch.float64).to(self.dtype)
        return square + scale * noise

    def _normal(self, *shape: int) -> Tensor:
        noise = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        return (self.scale * noise).to(self.dtype)


def tensors(values: Any) -> list[Tensor]:
    """All tensors, however the arguments or results nest."""
    return [leaf for leaf in tree_flatten(values)[0] if isinstance(leaf, Tensor)]


def changed(values: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same arguments with every tensor changed."""
    return tree_map(lambda leaf: change(leaf) if isinstance(leaf, Tensor) else leaf, values)


def with_tensors(values: Any, replacements: list[Tensor]) -> Any:
    """The same arguments with other tensors in their places."""
    following = iter(replacements)
    return changed(values, lambda _: next(following))
