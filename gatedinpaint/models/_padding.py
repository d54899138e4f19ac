"""Any height and width for networks that halve them: padded with the border, and cropped back."""

import torch
from torch import Tensor


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the right and bottom border until height and width are multiples; channels may be 0."""
    for dim in (2, 3):
        size = x.shape[dim]
        # A traced graph is for every size: it may not ask whether this one needs padding.
        if torch.compiler.is_compiling() or size % multiple:
            places = torch.arange((size + multiple - 1) // multiple * multiple, device=x.device).clamp(max=size - 1)
            x = x.index_select(dim, places)
    return x


def crop(x: Tensor, size: tuple[int, int]) -> Tensor:
    """The part at the upper left: what was there before padding."""
    if torch.compiler.is_compiling():  # a slice would compare sizes, which a graph for every size does not know
        rows, columns = (torch.arange(side, device=x.device) for side in size)
        return x.index_select(2, rows).index_select(3, columns)
    return x[..., : size[0], : size[1]]
